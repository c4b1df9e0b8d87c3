// Steps with their elapsed time: one line that lives on a terminal, plain lines in a pipe.

const live = Boolean(process.stderr.isTTY) && !process.env.CI;
const FRAME_MS = 100;

const seconds = (ms) => `${(ms / 1_000).toFixed(1)} s`;
const grey = (text) => (live ? `\x1b[90m${text}\x1b[39m` : text);
const green = (text) => (live ? `\x1b[32m${text}\x1b[39m` : text);
const red = (text) => (live ? `\x1b[31m${text}\x1b[39m` : text);

/**
 * Shows `label` while `work` runs and how long it took. Quick steps leave no trace: who changes one file does not
 * want to read about the twenty things that did not have to be done.
 */
export const step = async (label, work, { quietBelowMs = 0 } = {}) => {
  const start = performance.now();
  const draw = () => process.stderr.write(`\r\x1b[K  ${grey('·')} ${label} ${grey(seconds(performance.now() - start))}`);
  const timer = live ? setInterval(draw, FRAME_MS) : undefined;
  const end = (mark) => {
    clearInterval(timer);
    if (live) process.stderr.write('\r\x1b[K');
    const took = performance.now() - start;
    if (mark !== green('✓') || took >= quietBelowMs) process.stderr.write(`  ${mark} ${label} ${grey(seconds(took))}\n`);
  };
  try {
    const result = await work();
    end(green('✓'));
    return result;
  } catch (error) {
    end(red('✗'));
    throw error;
  }
};
