import { csvLine } from './csv.js';

/** A list's query without what pages it. */
export type Searched<Query> = Omit<Query, 'page_size' | 'page_token'>;

export const exportFormats = ['ndjson', 'csv'] as const;
export type ExportFormat = (typeof exportFormats)[number];

/** What is exported, and how one of it is written. */
export type Exported<Row> = {
  /** Of the file. */
  readonly name: string;
  readonly columns: readonly string[];
  readonly pages: AsyncGenerator<readonly Row[], void>;
  /** In the order of the columns. */
  readonly cells: (row: Row) => readonly unknown[];
  /** Without a line end in it. */
  readonly json: (row: Row) => Buffer;
};

const LINE_END = Buffer.from('\n');

const pageAs: Readonly<Record<ExportFormat, <Row>(exported: Exported<Row>, rows: readonly Row[]) => Buffer>> = {
  ndjson: ({ json }, rows) => Buffer.concat(rows.flatMap((row) => [json(row), LINE_END])),
  csv: ({ cells }, rows) => Buffer.from(rows.map((row) => csvLine(cells(row))).join('')),
};

/** The file, page by page; of CSV the first line names the columns. What has no rows yet is no part: there is nothing to be sent. */
export const partsOf = async function* <Row>(exported: Exported<Row>, format: ExportFormat): AsyncGenerator<Buffer, void> {
  if (format === 'csv') yield Buffer.from(csvLine(exported.columns));
  for await (const rows of exported.pages) if (rows.length > 0) yield pageAs[format](exported, rows);
};
