/** Collects the values of an option that may be given many times. */
export const collect = (value: string, previous: readonly string[] = []): string[] => [...previous, value];

/** Collects names that may be given with commas, or by repeating the option, or both. */
export const collectNames = (value: string, previous: readonly string[] = []): string[] => [
  ...previous,
  ...value
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== ''),
];
