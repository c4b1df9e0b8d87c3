import { Problem } from '@posthorn/service-kit';

/** What is empty in protobuf, and not absent in JSON. */
export type Empties = Readonly<Record<string, unknown>>;

export type Maskable = {
  /** Everything that the message gives, as the body of a PATCH. */
  readonly body: Readonly<Record<string, unknown>>;
  /** Members that are changed one by one, and named one by one. */
  readonly memberwise: readonly string[];
  /** What stands for a member that is named and not given, where that is not null. */
  readonly empties: Empties;
};

const isMembers = (value: unknown): value is Readonly<Record<string, unknown>> => typeof value === 'object' && value !== null;

const memberAt = (body: Maskable['body'], path: readonly string[]): unknown =>
  path.reduce<unknown>((value, name) => (isMembers(value) && Object.hasOwn(value, name) ? value[name] : undefined), body);

/**
 * The body of a PATCH that changes what a google.protobuf.FieldMask names; without one, what is given. What is named and not given is
 * removed. What cannot be changed, or is not there, is for the body's schema to refuse.
 * @throws {Problem} `invalid`
 */
export const maskedBody = ({ body, memberwise, empties }: Maskable, mask: readonly string[] | undefined): Record<string, unknown> => {
  if (mask === undefined || mask.length === 0) return { ...body };
  const masked = new Map<string, unknown>();
  for (const text of mask) {
    const path = text.split('.');
    const [first = '', second, ...deeper] = path;
    const isMemberwise = memberwise.includes(first);
    if (isMemberwise === (second === undefined) || deeper.length > 0) throw refused(text, isMemberwise);
    const value = memberAt(body, path) ?? memberAt(empties, [text]) ?? null;
    if (second === undefined) masked.set(first, value);
    else masked.set(first, { ...(masked.get(first) as object | undefined), [second]: value }); // set by the line above alone
  }
  return Object.fromEntries(masked);
};

const refused = (path: string, isMemberwise: boolean): Problem => {
  const message = isMemberwise ? `${path} is changed by its members, which are named one by one` : `${path} is changed as a whole`;
  return new Problem('invalid', `update_mask: ${message}`, { errors: [{ path: 'update_mask', message }] });
};
