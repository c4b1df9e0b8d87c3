import type { AuthenticationBody, PayloadBody } from '@posthorn/contracts';
import { admitFilter, admitTransform, type Refused } from '@posthorn/domain';
import { checkUrl, type EgressPolicy } from '@posthorn/egress';
import type { FieldError } from '@posthorn/service-kit';

/** What of a body can be wrong although its form is right. */
export type Judged = {
  readonly url?: string | undefined;
  readonly filter?: string | null | undefined;
  readonly payload?: PayloadBody | undefined;
  readonly authentication?: AuthenticationBody | undefined;
};

/** Judged as it will be when it is sent to, and told in the same words. */
const urlFault = (path: string, url: string, egress: EgressPolicy): readonly FieldError[] => {
  const verdict = checkUrl(url, egress);
  return verdict.ok ? [] : [{ path, message: `${verdict.code}: ${verdict.message}` }];
};

const expressionFault = (path: string, verdict: { readonly kind: 'compiled' } | Refused): readonly FieldError[] => {
  if (verdict.kind === 'compiled') return [];
  const { line, column } = verdict.position;
  return [{ path, message: `line ${line}, column ${column}: ${verdict.message}` }];
};

/** Everything that is wrong with it; what is absent cannot be. */
export const faultsOf = ({ url, filter, payload, authentication }: Judged, egress: EgressPolicy): readonly FieldError[] => [
  ...(url === undefined ? [] : urlFault('url', url, egress)),
  ...(typeof filter === 'string' ? expressionFault('filter', admitFilter(filter)) : []),
  ...(payload?.transform === undefined ? [] : expressionFault('payload.transform', admitTransform(payload.transform))),
  ...(authentication?.type === 'oauth2_client_credentials' ? urlFault('authentication.token_url', authentication.token_url, egress) : []),
];
