import { Problem, type FieldError } from '@posthorn/service-kit';

/** @throws {Problem} `invalid`, naming every field that is wrong, when there is one */
export const refuseInvalid = (errors: readonly FieldError[]): void => {
  const [first, ...others] = errors;
  if (!first) return;
  const more = others.length === 0 ? '' : ` (and ${others.length} more)`;
  throw new Problem('invalid', `${first.path}: ${first.message}${more}`, { errors });
};

/** @throws {Problem} `invalid`, of one field */
export const invalid = (path: string, message: string): Problem => new Problem('invalid', `${path}: ${message}`, { errors: [{ path, message }] });
