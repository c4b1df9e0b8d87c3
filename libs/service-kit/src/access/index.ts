export { ADMIN_ACTOR, adminKeyOnly } from './admin-key.js';
export { authorizer, type Authenticate, type Authorize, type Credentials } from './authorize.js';
export { holds, type Caller, type Need } from './caller.js';
export { Open, Scoped } from './guard.js';
