import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import { once } from 'node:events';

export type TestRecord =
  | { readonly type: 'A' | 'AAAA'; readonly address: string; readonly ttl?: number; readonly name?: string }
  | { readonly type: 'CNAME'; readonly target: string; readonly ttl?: number; readonly name?: string };

/** What is answered to a query: records of the name (those of another type are left out), an error, or nothing, ever. */
export type TestAnswer = readonly TestRecord[] | 'NXDOMAIN' | 'SERVFAIL' | 'REFUSED' | 'GARBAGE' | 'SILENT';

export type TestNameServer = {
  /** For a resolver's configuration. */
  readonly address: string;
  /** Names in the order in which they were asked for: `A host.example`. */
  readonly asked: string[];
  close(): void;
};

const TYPES = { A: 1, CNAME: 5, AAAA: 28 } as const;
const CODES = { SERVFAIL: 2, NXDOMAIN: 3, REFUSED: 5 } as const;

/** A name server (RFC 1035) on 127.0.0.1 that says what a test wants: `answer` is asked for each query, in lower case. */
export const testNameServer = async (answer: (name: string, type: 'A' | 'AAAA') => TestAnswer | Promise<TestAnswer>): Promise<TestNameServer> => {
  const socket = createSocket('udp4');
  const asked: string[] = [];
  socket.on('message', (query, from) => {
    const { name, type, end } = questionOf(query);
    if (type === undefined) return;
    asked.push(`${type} ${name}`);
    void Promise.resolve(answer(name, type)).then((given) => reply(socket, from, query.subarray(0, end), name, type, given));
  });
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  return { address: `127.0.0.1:${socket.address().port}`, asked, close: () => socket.close() };
};

const HEADER_BYTES = 12;

const questionOf = (query: Buffer): { readonly name: string; readonly type: 'A' | 'AAAA' | undefined; readonly end: number } => {
  const labels: string[] = [];
  let at = HEADER_BYTES;
  for (let length = query.readUInt8(at); length > 0; length = query.readUInt8(at)) {
    labels.push(query.toString('latin1', at + 1, at + 1 + length).toLowerCase());
    at += 1 + length;
  }
  const code = query.readUInt16BE(at + 1);
  return { name: labels.join('.'), type: code === TYPES.A ? 'A' : code === TYPES.AAAA ? 'AAAA' : undefined, end: at + 5 };
};

const reply = (socket: Socket, from: RemoteInfo, question: Buffer, name: string, type: 'A' | 'AAAA', given: TestAnswer): void => {
  if (given === 'SILENT') return;
  const records = typeof given === 'string' ? [] : given.filter((record) => record.type === type || record.type === 'CNAME');
  const header = Buffer.from(question.subarray(0, HEADER_BYTES));
  // A response to a recursive query, recursion available.
  header.writeUInt16BE(0x8180 | (typeof given === 'string' && given !== 'GARBAGE' ? CODES[given] : 0), 2);
  [1, given === 'GARBAGE' ? 9 : records.length, 0, 0].forEach((count, place) => header.writeUInt16BE(count, 4 + 2 * place));
  const parts = [header, question.subarray(HEADER_BYTES), ...records.map((record) => encoded(record, record.name ?? name))];
  socket.send(Buffer.concat(parts), from.port, from.address);
};

const encoded = (record: TestRecord, name: string): Buffer => {
  const data = record.type === 'CNAME' ? encodedName(record.target) : record.type === 'A' ? Buffer.from(record.address.split('.').map(Number)) : encodedIpv6(record.address);
  const fixed = Buffer.alloc(10);
  fixed.writeUInt16BE(TYPES[record.type], 0);
  fixed.writeUInt16BE(1, 2);
  fixed.writeUInt32BE(record.ttl ?? 60, 4);
  fixed.writeUInt16BE(data.length, 8);
  return Buffer.concat([encodedName(name), fixed, data]);
};

const encodedName = (name: string): Buffer =>
  Buffer.concat([...name.split('.').flatMap((label) => [Buffer.from([label.length]), Buffer.from(label)]), Buffer.from([0])]);

const groups = (text: string): string[] => (text === '' ? [] : text.split(':'));

/** The eight groups in full, or with one run of zeros left out; no dotted part. */
const encodedIpv6 = (address: string): Buffer => {
  const [head = '', tail] = address.split('::');
  const [first, last] = [groups(head), groups(tail ?? '')];
  const all = [...first, ...Array.from({ length: 8 - first.length - last.length }, () => '0'), ...last];
  return Buffer.from(all.map((group) => group.padStart(4, '0')).join(''), 'hex');
};
