/** A line through points; `y` in the unit of the axis. */
export type Series = { readonly name: string; readonly points: readonly { readonly x: number; readonly y: number }[] };

export type Shade = { readonly name: string; readonly from: number; readonly to: number };

export type Chart = {
  readonly title: string;
  readonly x: string;
  readonly y: string;
  readonly series: readonly Series[];
  /** Stretches of the x axis with names, drawn behind the lines. */
  readonly shades?: readonly Shade[];
  readonly isLogarithmic?: boolean;
};

const WIDTH = 860;
const HEIGHT = 340;
const MARGIN = { top: 34, right: 190, bottom: 44, left: 64 };
const INNER = { width: WIDTH - MARGIN.left - MARGIN.right, height: HEIGHT - MARGIN.top - MARGIN.bottom };
/** Told apart by those who see few colours, too (Okabe and Ito's, and two greys). */
const COLOURS = ['#0072b2', '#d55e00', '#009e73', '#cc79a7', '#e69f00', '#56b4e9', '#8a7a00', '#000000', '#777777', '#aaaaaa'];
const TICKS = 5;
/** What a logarithmic axis begins with, as 0 has no place on it. */
const LEAST = 0.1;

const escape = (text: string): string => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
const at = (value: number): string => value.toFixed(1);

/** About so many round numbers from 0, or from the first, up to and beyond the last. */
export const ticksUpTo = (most: number, about = TICKS): readonly number[] => {
  if (!(most > 0)) return [0, 1];
  const rough = most / about;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = ([1, 2, 5, 10].find((factor) => factor * power >= rough) ?? 10) * power;
  return Array.from({ length: Math.ceil(most / step - 1e-9) + 1 }, (_, n) => Number((n * step).toPrecision(12)));
};

/** Powers of ten that enclose the values. */
export const powersOfTen = (least: number, most: number): readonly number[] => {
  const [from, to] = [Math.floor(Math.log10(Math.max(least, LEAST))), Math.ceil(Math.log10(Math.max(most, LEAST * 10)))];
  return Array.from({ length: to - from + 1 }, (_, n) => 10 ** (from + n));
};

type Scale = { readonly ticks: readonly number[]; place(value: number): number };

const linear = (ticks: readonly number[], from: number, to: number): Scale => {
  const [first, last] = [ticks[0] ?? 0, ticks.at(-1) ?? 1];
  return { ticks, place: (value) => from + ((value - first) / (last - first)) * (to - from) };
};

const logarithmic = (ticks: readonly number[], from: number, to: number): Scale => {
  const byPower = linear(ticks.map(Math.log10), from, to);
  return { ticks, place: (value) => byPower.place(Math.log10(Math.max(value, ticks[0] ?? LEAST))) };
};

const label = (value: number): string => (value >= 10_000 ? `${Number((value / 1_000).toPrecision(3))}k` : String(Number(value.toPrecision(3))));

/** A chart as an SVG file of its own: no script, no font, no reference to anything outside. */
export const lineChart = ({ title, x, y, series, shades = [], isLogarithmic = false }: Chart): string => {
  const points = series.flatMap((one) => one.points);
  const most = { x: Math.max(0, ...points.map((point) => point.x), ...shades.map(({ to }) => to)), y: Math.max(0, ...points.map((point) => point.y)) };
  const left = MARGIN.left;
  const bottom = MARGIN.top + INNER.height;
  const xScale = linear([0, most.x > 0 ? most.x : 1], left, left + INNER.width);
  const yScale = isLogarithmic
    ? logarithmic(powersOfTen(Math.min(...points.map((point) => point.y)), most.y), bottom, MARGIN.top)
    : linear(ticksUpTo(most.y), bottom, MARGIN.top);
  const xTicks = ticksUpTo(most.x, 8).filter((tick) => tick <= most.x);
  const place = (point: { readonly x: number; readonly y: number }): string => `${at(xScale.place(point.x))},${at(yScale.place(point.y))}`;
  const text = (px: number, py: number, words: string, more = ''): string => `<text x="${at(px)}" y="${at(py)}" ${more}>${escape(words)}</text>`;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="sans-serif" font-size="11" fill="#333">`,
    `<title>${escape(title)}</title>`,
    `<rect width="${WIDTH}" height="${HEIGHT}" fill="#fff"/>`,
    text(left, 18, title, 'font-size="14" font-weight="bold"'),
    ...shades.map(({ name, from, to }, n) => {
      const [start, end] = [xScale.place(from), xScale.place(to)];
      const rect = `<rect x="${at(start)}" y="${MARGIN.top}" width="${at(Math.max(0, end - start))}" height="${INNER.height}" fill="${n % 2 === 0 ? '#f0f3f6' : '#e6ebf0'}"/>`;
      return `${rect}<text transform="translate(${at(start + 9)},${MARGIN.top + 4}) rotate(90)" font-size="9" fill="#999">${escape(name)}</text>`;
    }),
    ...yScale.ticks.map((tick) => {
      const py = yScale.place(tick);
      return `<line x1="${left}" x2="${left + INNER.width}" y1="${at(py)}" y2="${at(py)}" stroke="#ddd"/>${text(left - 6, py + 4, label(tick), 'text-anchor="end"')}`;
    }),
    ...xTicks.map((tick) => text(xScale.place(tick), bottom + 16, label(tick), 'text-anchor="middle"')),
    text(left + INNER.width / 2, HEIGHT - 8, x, 'text-anchor="middle"'),
    `<text transform="translate(14,${MARGIN.top + INNER.height / 2}) rotate(-90)" text-anchor="middle">${escape(y)}</text>`,
    ...series.flatMap((one, n) => {
      const colour = COLOURS[n % COLOURS.length];
      const row = MARGIN.top + 8 + n * 17;
      return [
        `<polyline points="${one.points.map(place).join(' ')}" fill="none" stroke="${colour}" stroke-width="1.5" stroke-linejoin="round"/>`,
        `<line x1="${left + INNER.width + 12}" x2="${left + INNER.width + 30}" y1="${row}" y2="${row}" stroke="${colour}" stroke-width="3"/>`,
        text(left + INNER.width + 36, row + 4, one.name),
      ];
    }),
    '</svg>',
    '',
  ].join('\n');
};
