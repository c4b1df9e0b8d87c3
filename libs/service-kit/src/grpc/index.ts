export { serve, type Call, type CallContext, type Calls, type Conversation, type FeedCall, type ServedService, type StreamCall } from './calls.js';
export { GrpcDoor, type GrpcDoorOptions } from './grpc-door.js';
export { DETAILS_KEY } from './status.js';
export { durationOf, flagText, given, givenList, givenMap, jsonOf, present, timeOf, toDuration, toTime, words } from './wire-values.js';
