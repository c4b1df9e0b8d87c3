import { DeliveryStatus } from '@posthorn/contracts/grpc/audit';
import { words } from '@posthorn/service-kit/grpc';

export const deliveryStatuses = words(DeliveryStatus, DeliveryStatus.DELIVERY_STATUS_UNSPECIFIED);
