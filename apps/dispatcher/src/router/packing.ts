import { frame, type RequestedHead, type Routed } from '@posthorn/contracts';
import { MAX_MESSAGE_BYTES } from '@posthorn/kafka';

/** For the key and the headers of a record, and for what Kafka puts around it and its batch. */
const AROUND_BYTES = 1_024;

/** What the value of a record of ours may have. */
export const MOST_VALUE_BYTES = MAX_MESSAGE_BYTES - AROUND_BYTES;

/** As many values of `deliveries.requested` as it takes for each to fit into a record: as a rule one, whatever the fan-out. */
export const requestedValues = (head: RequestedHead, data: Buffer, most = MOST_VALUE_BYTES): readonly Buffer[] => {
  const whole = frame(head, data, head.event.datacontenttype);
  if (whole.length <= most) return [whole];
  const room = most - (whole.length - listBytes(head.subscriptions));
  return fitting(head.subscriptions, room).map((subscriptions) => frame({ ...head, subscriptions }, data, head.event.datacontenttype));
};

/** More than there are subscriptions, so that a part's number takes no more room than this. */
const MANY = 999_999_999;

/** The same for `deliveries.routed`. The near matches are in the first part. */
export const routedValues = (routed: Routed, most = MOST_VALUE_BYTES): readonly string[] => {
  const whole = JSON.stringify(routed);
  if (Buffer.byteLength(whole) <= most) return [whole];
  const { near, near_more, subscriptions, ...rest } = routed;
  const part = { number: MANY, of: MANY };
  const parts = fitting(subscriptions, most - Buffer.byteLength(JSON.stringify({ ...routed, part, subscriptions: [] })));
  return parts.map((subscriptions, index) =>
    JSON.stringify({ ...rest, part: { number: index + 1, of: parts.length }, ...(index === 0 && { near, near_more }), subscriptions } satisfies Routed),
  );
};

/** Of an entry of a list in JSON, with the comma that follows. */
const entryBytes = (subscription: string): number => Buffer.byteLength(JSON.stringify(subscription)) + 1;

const listBytes = (subscriptions: readonly string[]): number => subscriptions.reduce((sum, each) => sum + entryBytes(each), -1);

/** The list in as few pieces as can be, each of which takes no more room in JSON; one that does not fit at all stands alone. */
const fitting = (subscriptions: readonly string[], room: number): string[][] => {
  const pieces: string[][] = [];
  let piece: string[] = [];
  let bytes = -1;
  for (const subscription of subscriptions) {
    bytes += entryBytes(subscription);
    if (piece.length === 0 || bytes > room) {
      piece = [];
      pieces.push(piece);
      bytes = entryBytes(subscription) - 1;
    }
    piece.push(subscription);
  }
  return pieces;
};
