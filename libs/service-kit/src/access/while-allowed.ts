const ASKED_EVERY_MS = 1_000;

/**
 * An answer may go on for days: whether its caller still may have it is asked for again every second, also while nothing happens, so that
 * a key that was revoked, or a token whose hour is over, ends there as soon as elsewhere.
 * @param onRefused called once, with what `authorize` threw
 * @returns for the end of the answer: nothing is asked any more
 */
export const whileAllowed = (authorize: () => Promise<unknown>, onRefused: (refusal: unknown) => void): (() => void) => {
  let isAsking = false;
  let isOver = false;
  const end = (): void => {
    isOver = true;
    clearInterval(timer);
  };
  const ask = async (): Promise<void> => {
    if (isAsking) return;
    isAsking = true;
    try {
      await authorize();
    } catch (refusal) {
      if (!isOver) onRefused(refusal);
      end();
    }
    isAsking = false;
  };
  const timer = setInterval(() => void ask(), ASKED_EVERY_MS);
  return end;
};
