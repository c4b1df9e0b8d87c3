/** What is left of a time that began then, by performance.now(); 0 when it is over. */
export const leftOf = (deadlineMs: number, startedMs: number): number => Math.max(0, startedMs + deadlineMs - performance.now());
