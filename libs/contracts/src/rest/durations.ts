import { z } from 'zod';

/** `90s`, `15m`, `24h`, `30d`, `500ms`. */
export const duration = z
  .string()
  .regex(/^\d{1,9}(?:ms|s|m|h|d)$/, 'a number and a unit, one of ms, s, m, h, d: "30s"');

const UNIT_MS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** Milliseconds of a duration that `duration` has accepted. */
export const durationMs = (text: string): number => {
  const [, digits, unit] = /^(\d+)([a-z]+)$/.exec(text) ?? [];
  return Number(digits) * (UNIT_MS[unit ?? ''] ?? Number.NaN);
};

/** The largest unit up to hours that divides it: 90000 is "90s", 120000 is "2m", five days are "120h"; nothing is "0s". */
export const durationText = (ms: number): string => {
  if (ms === 0) return '0s';
  const unit = (['h', 'm', 's'] as const).find((u) => ms % (UNIT_MS[u] ?? 1) === 0) ?? 'ms';
  return `${ms / (UNIT_MS[unit] ?? 1)}${unit}`;
};

export const durationBetween = (from: string, to: string) =>
  duration
    .refine((text) => durationMs(text) >= durationMs(from) && durationMs(text) <= durationMs(to), { message: `from ${from} to ${to}` })
    .describe(`Duration from ${from} to ${to}`);
