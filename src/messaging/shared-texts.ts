/** One text in memory for equal ones that came not long ago: each of a thousand users holds no copy. */
export class SharedTexts<Text extends string> {
  readonly #recent: (Text | undefined)[];

  /** `size`: how many texts it remembers. */
  constructor(size: number) {
    this.#recent = Array.from({ length: size });
  }

  /** `hash`: of the text, not negative. */
  of(text: Text, hash: number): Text {
    const slot = hash % this.#recent.length;
    const recent = this.#recent[slot];
    if (recent === text) return recent;
    this.#recent[slot] = text;
    return text;
  }
}
