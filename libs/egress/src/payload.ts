import { isJsonMediaType, type Envelope } from '@posthorn/contracts';

/** What is POSTed. Built once per event and shared by all its deliveries; nobody may write into the body. */
export type Payload = { readonly contentType: string; readonly body: Buffer };

const JSON_NULL = Buffer.from('null');

/**
 * The format `standard` (Standard Webhooks, "Payload structure"): `{"type":…,"timestamp":…,"data":…}`, `timestamp` being the event's `time`.
 * JSON data is spliced in byte for byte, so numbers keep their digits and members their order. Data of another media type cannot be a
 * JSON value: it comes as `data_base64` beside its `datacontenttype`, the members CloudEvents has for this, so that whatever
 * is called `data` is always the producer's own JSON.
 */
export const standardPayload = (
  event: Pick<Envelope, 'type' | 'time' | 'datacontenttype'>,
  data: Uint8Array,
): Payload => {
  const { type, time, datacontenttype } = event;
  const head = `{"type":${JSON.stringify(type)},"timestamp":${JSON.stringify(time)},`;
  return {
    contentType: 'application/json',
    body: isJsonMediaType(datacontenttype)
      ? spliced(`${head}"data":`, data.length === 0 ? JSON_NULL : data)
      : Buffer.from(
          `${head}"datacontenttype":${JSON.stringify(datacontenttype)},"data_base64":"${base64(data)}"}`,
        ),
  };
};

const base64 = ({ buffer, byteOffset, byteLength }: Uint8Array): string =>
  Buffer.from(buffer, byteOffset, byteLength).toString('base64');

const spliced = (head: string, data: Uint8Array): Buffer => {
  const headBytes = Buffer.byteLength(head);
  const body = Buffer.allocUnsafe(headBytes + data.length + 1);
  body.write(head);
  body.set(data, headBytes);
  body.write('}', headBytes + data.length);
  return body;
};
