/**
 * The text of a frame's `echo`, as it stands there: a number beyond 2^53 or a nest of a thousand arrays would not
 * survive being read and written again. Undefined where there is none. `frame`: an object in JSON that has been
 * parsed without an error.
 */
export function echoOf(frame: string): string | undefined {
  let echo: string | undefined;
  let at = frame.indexOf('{') + 1;
  while (at < frame.length) {
    const nameStart = frame.indexOf('"', at);
    if (nameStart < 0) break;
    const nameEnd = endOfText(frame, nameStart);
    const valueStart = frame.indexOf(':', nameEnd) + 1;
    const valueEnd = endOfValue(frame, valueStart);
    // Of two with one name the last counts, as for JSON.parse.
    if (JSON.parse(frame.slice(nameStart, nameEnd)) === 'echo') {
      echo = frame.slice(valueStart, valueEnd).trim();
    }
    at = valueEnd + 1;
  }
  return echo;
}

/** Behind the quote that closes the text which is opened at `at`. */
function endOfText(frame: string, at: number): number {
  for (let i = at + 1; i < frame.length; i++) {
    if (frame[i] === '\\') i += 1;
    else if (frame[i] === '"') return i + 1;
  }
  return frame.length;
}

/** Where the comma or the bracket stands that follows the value at `at`. */
function endOfValue(frame: string, at: number): number {
  let depth = 0;
  for (let i = at; i < frame.length; i++) {
    const sign = frame[i]!;
    if (sign === '"') i = endOfText(frame, i) - 1;
    else if (sign === '{' || sign === '[') depth += 1;
    else if (depth === 0 && (sign === ',' || sign === '}')) return i;
    else if (sign === '}' || sign === ']') depth -= 1;
  }
  return frame.length;
}
