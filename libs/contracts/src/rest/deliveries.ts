export type DeliveryStatus = 'pending' | 'retrying' | 'delivered' | 'failed' | 'cancelled';

export type DeliveryView = {
  readonly id: string;
  readonly tenant: string;
  readonly event_id: string;
  readonly event_type: string;
  readonly subscription_id: string;
  readonly status: DeliveryStatus;
  readonly attempts: number;
  readonly next_attempt_at?: string | undefined;
  readonly last_status_code?: number | undefined;
  readonly last_error?: string | undefined;
  readonly created_at: string;
  readonly finished_at?: string | undefined;
};
