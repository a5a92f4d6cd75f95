export interface Minimized {
  /** Needed, as far as the runs went: without any one of them the seed may pass. */
  readonly kept: readonly number[];
  readonly runs: number;
  /** No single one of `kept` can be left out; false where the runs were used up before. */
  readonly minimal: boolean;
}

/**
 * Delta debugging (Zeller and Hildebrandt, ddmin) over the numbers of a run's faults: `fails` tells
 * whether a run with these alone still fails in the same way. At most `runsMax` runs.
 */
export async function minimizeFaults(
  numbers: readonly number[],
  fails: (kept: readonly number[]) => Promise<boolean>,
  runsMax: number,
): Promise<Minimized> {
  let [kept, parts, runs] = [numbers, 2, 0];
  for (;;) {
    let smaller: readonly number[] | undefined;
    for (const part of partsOf(kept, parts)) {
      if (runs >= runsMax) return { kept, runs, minimal: false };
      const rest = kept.filter((number) => !part.includes(number));
      runs += 1;
      if (!(await fails(rest))) continue;
      smaller = rest;
      break;
    }
    if (smaller) {
      kept = smaller;
      parts = Math.max(2, parts - 1);
      if (kept.length === 0) return { kept, runs, minimal: true };
    } else if (parts >= kept.length) {
      return { kept, runs, minimal: true };
    } else {
      parts = Math.min(kept.length, 2 * parts);
    }
  }
}

function partsOf(numbers: readonly number[], parts: number): number[][] {
  const count = Math.min(parts, numbers.length);
  return Array.from({ length: count }, (_, index) => {
    const from = Math.floor((index * numbers.length) / count);
    return numbers.slice(from, Math.floor(((index + 1) * numbers.length) / count));
  });
}
