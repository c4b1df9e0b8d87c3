import { setTimeout as delay } from 'node:timers/promises';
import type { RelayCheckpoint } from '@posthorn/event-store';

const LOOK_EVERY_MS = 100;

/**
 * Waits while a relay leads somewhere. True when everything up to the position is in the topics; false when nobody publishes.
 * @param onPosition is told how far the relay has come, at each look
 */
export const untilRelayed = async (
  checkpoint: Pick<RelayCheckpoint, 'read'>,
  position: number,
  onPosition: (position: number) => void,
): Promise<boolean> => {
  for (;;) {
    const standing = await checkpoint.read();
    onPosition(standing.position);
    if (standing.position >= position) return true;
    if (!standing.isLed) return false;
    await delay(LOOK_EVERY_MS);
  }
};
