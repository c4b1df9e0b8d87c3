import type { INestApplicationContext } from '@nestjs/common';
import { TailServiceDefinition } from '@posthorn/contracts/grpc/audit';
import { serve, type ServedService } from '@posthorn/service-kit/grpc';
import { Tail } from '../tail/tail.js';
import { tailCalls } from './tail-calls.js';

/** `posthorn.audit.v1`, served by the parts that the REST API is served by. */
export const auditCalls = (app: INestApplicationContext): readonly ServedService[] => [serve(TailServiceDefinition, tailCalls(app.get(Tail)))];
