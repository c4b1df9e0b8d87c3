/** Delivery ids are kept as `uuid`: they are in every key of a delivery and its attempts, and 16 bytes there are not 37. */
const DELIVERY_ID = /^dlv_[0-9a-f]{32}$/;

/** As a parameter or a cell of type `uuid`. Undefined: no delivery can have this id. */
export const storedDeliveryId = (id: string): string | undefined => (DELIVERY_ID.test(id) ? id.slice('dlv_'.length) : undefined);

/** A value of type `uuid`, as the world knows it. */
export const shownDeliveryId = (uuid: string): string => `dlv_${uuid.replaceAll('-', '')}`;
