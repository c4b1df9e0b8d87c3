import { Problem } from '@posthorn/service-kit';
import type { Tidings } from './watch.js';

/** HTML, section 9.2 "Server-sent events". Texts are JSON, in which no line ends. */
const eventOf = (tidings: Tidings): string => {
  switch (tidings.kind) {
    case 'news':
      return `id: ${tidings.place}\nevent: ${tidings.news.told.kind}\ndata: ${tidings.news.text}\n\n`;
    case 'missed':
      return `event: missed\ndata: ${JSON.stringify(tidings.missed)}\n\n`;
    case 'quiet':
      // An id without data is no event, and remembered all the same.
      return `: nothing new\nid: ${tidings.place}\n\n`;
  }
};

/** After so long a client connects again. */
const RETRY_MS = 2_000;

/** The stream that a client reads, in as few pieces as it reads slowly. Why it ends, if not because its client has gone, is its last event. */
export const serverSentEvents = async function* (told: AsyncIterable<readonly Tidings[]>): AsyncGenerator<string> {
  yield `retry: ${RETRY_MS}\n\n`;
  try {
    for await (const tidings of told) yield tidings.map(eventOf).join('');
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    yield `event: end\ndata: ${JSON.stringify(error.body)}\n\n`;
  }
};
