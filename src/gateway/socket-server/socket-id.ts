let last = 0;

/**
 * Ids are unique over all servers of the process, because sessions are known by them everywhere.
 */
export function nextSocketId(): number {
  last += 1;
  return last;
}
