import { describe, expect, it } from '@jest/globals';
import { lineChart, powersOfTen, ticksUpTo } from './plot.ts';

describe('the marks of an axis', () => {
  it.each([
    [0, [0, 1]],
    [1, [0, 0.2, 0.4, 0.6, 0.8, 1]],
    [7_300, [0, 2_000, 4_000, 6_000, 8_000]],
    [0.03, [0, 0.01, 0.02, 0.03]],
  ])('up to %d are round and reach it', (most, ticks) => {
    expect(ticksUpTo(most)).toEqual(ticks);
  });

  it('are powers of ten on a logarithmic one, and never 0', () => {
    expect([powersOfTen(3, 450), powersOfTen(0, 5)]).toEqual([
      [1, 10, 100, 1_000],
      [0.1, 1, 10],
    ]);
  });
});

const linesOf = (svg: string): readonly (readonly (readonly number[])[])[] =>
  [...svg.matchAll(/<polyline points="([^"]*)"/g)].map(([, points = '']) => points.split(' ').map((point) => point.split(',').map(Number)));

describe('a chart', () => {
  const chart = { title: 'a < b', x: 'seconds', y: 'ms', series: [{ name: 'p50 & p99', points: [{ x: 0, y: 0 }, { x: 5, y: 5 }, { x: 10, y: 10 }] }] };

  it('places points in proportion, upwards and to the right', () => {
    const [[first = [], second = [], third = []] = []] = linesOf(lineChart(chart));
    expect(second[0]).toBeCloseTo(((first[0] ?? 0) + (third[0] ?? 0)) / 2, 0);
    expect(second[1]).toBeCloseTo(((first[1] ?? 0) + (third[1] ?? 0)) / 2, 0);
    expect((third[0] ?? 0) - (first[0] ?? 0)).toBeGreaterThan(0);
    expect((third[1] ?? 0) - (first[1] ?? 0)).toBeLessThan(0);
  });

  it('gives each power of ten the same room when it is logarithmic', () => {
    const points = [1, 10, 100].map((y, x) => ({ x, y }));
    const [[low = [], middle = [], high = []] = []] = linesOf(lineChart({ ...chart, isLogarithmic: true, series: [{ name: 'max', points }] }));
    expect(low[1]).toBeGreaterThan(high[1] ?? 0);
    expect((low[1] ?? 0) - (middle[1] ?? 0)).toBeCloseTo((middle[1] ?? 0) - (high[1] ?? 0), 0);
  });

  it('writes what it is told as text, and refers to nothing outside', () => {
    const svg = lineChart({ ...chart, shades: [{ name: '<idle>', from: 1, to: 2 }] });
    expect(svg).toContain('a &lt; b');
    expect(svg).toContain('p50 &amp; p99');
    expect(svg).toContain('&lt;idle&gt;');
    expect(svg.replace('http://www.w3.org/2000/svg', '')).not.toMatch(/https?:|<script|<style/);
  });

  it('draws without points, too', () => {
    expect(lineChart({ ...chart, series: [] })).not.toContain('NaN');
    expect(lineChart({ ...chart, isLogarithmic: true, series: [{ name: 'none', points: [] }] })).not.toMatch(/NaN|Infinity/);
  });
});
