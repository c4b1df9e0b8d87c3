/** When the system does not say: what most of them give a process at least. */
const UNTOLD = 1_024;

/** How many files, sockets among them, this process may have open. Node raises the limit as far as it may when it starts, so it stays. */
export const openFilesLimit = (): number => (limit ??= askedLimit());
let limit: number | undefined;

const askedLimit = (): number => {
  // Documented as an object; typed as one without members.
  const { userLimits } = process.report.getReport() as { userLimits?: { open_files?: { soft?: number | 'unlimited' } } };
  const soft = userLimits?.open_files?.soft;
  return soft === 'unlimited' ? Infinity : (soft ?? UNTOLD);
};
