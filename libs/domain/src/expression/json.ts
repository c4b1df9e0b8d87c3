import { EvaluationFailed, pay } from './meter.js';
import { CelType, Duration, isList, RequestParts, timestampText, type Members, type Value } from './value.js';

/**
 * JSON text of a value. A value may hold the same part many times over, so that it is the text that has to be measured, while it is
 * written.
 * @throws {EvaluationFailed} beyond `maxCharacters`, or for what JSON cannot write
 */
export const toJson = (value: Value, maxCharacters: number): string => {
  let length = 0;
  const piece = (text: string): string => {
    length += text.length;
    if (length > maxCharacters) throw new EvaluationFailed(`the result is longer than ${maxCharacters} characters`);
    return text;
  };
  const write = (value: Value): string => {
    pay(1);
    switch (typeof value) {
      case 'string':
        return piece(JSON.stringify(value));
      case 'number':
        if (!Number.isFinite(value)) throw new EvaluationFailed(`JSON cannot write ${value}`);
        return piece(String(value));
      case 'bigint':
      case 'boolean':
        return piece(String(value));
      default:
        if (value === null) return piece('null');
        if (value instanceof Date) return piece(`"${timestampText(value)}"`);
        if (value instanceof Duration) return piece(`"${value.toString()}"`);
        if (value instanceof CelType) return piece(`"${value.name}"`);
        if (value instanceof RequestParts) throw new EvaluationFailed('request() is only for the whole of what a transform makes');
        return isList(value) ? `[${value.map(write).join(',')}]` : `{${writeMembers(value)}}`;
    }
  };
  const writeMembers = (members: Members): string =>
    Object.entries(members)
      .map(([name, member]) => `${piece(JSON.stringify(name))}:${write(member)}`)
      .join(',');
  return write(value);
};
