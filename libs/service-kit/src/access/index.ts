export { Access, type AccessOptions } from './access.js';
export { ADMIN_ACTOR, adminKeyOnly } from './admin-key.js';
export { authorizer, type Authenticate, type Authorize, type Credentials } from './authorize.js';
export { holds, type Caller, type Need } from './caller.js';
export { Open, Scoped } from './guard.js';
export { signPortalToken, type PortalGrant, type PortalSigner } from './portal-token.js';
export { RegistryStateFeed, type RegistryFolder } from './registry-state-feed.js';
export { whileAllowed } from './while-allowed.js';
