import { describe, expect, it } from '@jest/globals';
import { Figures, type CountedAttempt, type EndedDelivery } from './figures.js';
import { ForeignBytes } from './varints.js';

const attempt = (status: CountedAttempt['status'], error_code: string | null = null, duration_ms = 10): CountedAttempt => ({ status, duration_ms, error_code });
const delivery = (status: EndedDelivery['status'], round = 0, tookMs = 400): EndedDelivery => ({ status, round, createdMs: 1_000, finishedMs: 1_000 + tookMs });
const figuresOf = (attempts: readonly CountedAttempt[], deliveries: readonly EndedDelivery[] = []): Figures => {
  const figures = new Figures();
  for (const one of attempts) figures.addAttempt(one, 1);
  for (const one of deliveries) figures.addDelivery(one, 1);
  return figures;
};

describe('figures', () => {
  it('tell attempts that got through from those that did not, and these by what they failed of', () => {
    const figures = figuresOf([attempt('delivered'), attempt('retrying', 'timeout'), attempt('failed', 'timeout'), attempt('cancelled', 'bad_status')]);
    expect((['attempts.succeeded', 'attempts.failed', 'errors.timeout', 'errors.bad_status', 'errors.aborted'] as const).map((what) => figures.of(what))).toEqual([1, 3, 2, 1, 0]);
  });

  it('count a failure of a kind that is not known here as a failure', () => {
    expect(figuresOf([attempt('failed', 'of_tomorrow')]).of('attempts.failed')).toBe(1);
  });

  it('tell how deliveries ended, and nothing of those under way', () => {
    const figures = figuresOf([], [delivery('delivered'), delivery('failed'), delivery('failed'), delivery('cancelled'), delivery('pending'), delivery('retrying')]);
    expect((['deliveries.delivered', 'deliveries.failed', 'deliveries.cancelled'] as const).map((what) => figures.of(what))).toEqual([1, 2, 1]);
  });

  it('take the latency of what was delivered in the first round alone', () => {
    const figures = figuresOf([], [delivery('delivered', 0, 400), delivery('delivered', 1, 86_400_000), delivery('failed', 0, 90_000)]);
    expect(figures.latencies.quantiles([0, 1]).map((ms) => Math.round((ms ?? 0) / 10))).toEqual([40, 40]);
  });

  it('are empty again when all is taken back', () => {
    const figures = figuresOf([attempt('failed', 'timeout')], [delivery('delivered')]);
    figures.addAttempt(attempt('failed', 'timeout'), -1);
    expect(figures.isEmpty).toBe(false);
    figures.addDelivery(delivery('delivered'), -1);
    expect(figures.isEmpty).toBe(true);
  });

  it('come out of their bytes as they went in', () => {
    const figures = figuresOf([attempt('delivered', null, 3), attempt('failed', 'aborted', 30_000)], [delivery('delivered'), delivery('cancelled')]);
    const read = Figures.decode(figures.encode());
    expect(read.encode()).toEqual(figures.encode());
    expect([read.of('errors.aborted'), read.of('deliveries.cancelled')]).toEqual([1, 1]);
    expect(read.durations.quantiles([0.5, 1])).toEqual(figures.durations.quantiles([0.5, 1]));
  });

  it('keep their places in the database: the list of what is counted only grows at its end', () => {
    const figures = figuresOf([attempt('delivered'), attempt('failed', 'timeout'), attempt('failed', 'aborted')], [delivery('delivered'), delivery('failed'), delivery('cancelled')]);
    // A form, seven counts (of 0, 1, 2, 3, 4, 5 and 17: one, two, one, one, one, one, one), three durations and a latency.
    expect(figures.encode().subarray(0, 16).toString('hex')).toBe('01070002000400020002000200020b02');
  });

  it.each([
    ['of another form', [2, 0, 0, 0]],
    ['that are cut off', [1, 0, 0]],
    ['with more behind them', [1, 0, 0, 0, 0]],
    ['that count what there is not', [1, 1, 18, 2, 0, 0]],
  ])('refuse bytes %s', (_what, bytes) => {
    expect(() => Figures.decode(Buffer.from(bytes))).toThrow(ForeignBytes);
  });
});
