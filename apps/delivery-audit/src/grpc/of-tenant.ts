export const ofTenant = ({ tenant }: { readonly tenant: string }): string => tenant;

/** Of a method that looks at what is a tenant's. */
export const reading = { scope: 'audit:read', tenant: ofTenant } as const;

/** Of a method that has a tenant's deliveries made again, or made no more. */
export const writing = { scope: 'audit:write', tenant: ofTenant } as const;
