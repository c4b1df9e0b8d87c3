import { figure, graph, PICKED, quantiles, type Board } from './panels.ts';

export const services: Board = {
  uid: 'posthorn-services',
  title: 'Posthorn: how are the processes?',
  picks: true,
  explains: 'CPU, event loop, memory and garbage collection of each process, and what is asked of it.',
  rows: [
    {
      title: 'Processes',
      panels: [
        figure({ asks: 'How many processes are there?', explains: 'Of each service. None at all is an alert.', unit: 'short', queries: [[`count by (service) (posthorn_build_info{${PICKED}})`, '{{service}}']], runbook: 'service-missing' }),
        figure({ asks: 'Which versions run?', explains: 'More than one for longer than a deployment takes is a mistake.', unit: 'short', queries: [[`count by (version) (posthorn_build_info{${PICKED}})`, '{{version}}']] }),
        figure({ asks: 'How long have they been running?', explains: 'The youngest of each service: minutes, without anybody having deployed, means that something ends it.', unit: 's', queries: [[`time() - max by (service) (process_start_time_seconds{${PICKED}})`, '{{service}}']] }),
      ],
    },
    {
      title: 'What they use',
      panels: [
        graph({ asks: 'How much CPU?', explains: 'In cores. A process of Node has one for its code.', unit: 'cores', queries: [[`sum by (service, instance) (rate(process_cpu_seconds_total{${PICKED}}[$__rate_interval]))`, '{{service}} {{instance}}']], bounds: { warning: 0.8, critical: 1 } }),
        graph({ asks: 'How long does the event loop make others wait?', explains: 'Of ten samples a second, the 99th percentile; the metric holds the tenth between two samples, too. Above 50 ms everything that the process does is late by as much.', unit: 's', queries: [[`clamp_min(max by (service, instance) (nodejs_eventloop_lag_p99_seconds{${PICKED}}) - 0.1, 0)`, '{{service}} {{instance}}']], bounds: { warning: 0.05, critical: 0.25 } }),
        graph({ asks: 'How much memory?', explains: 'Resident. It settles; what rises for hours and never falls is a leak.', unit: 'bytes', queries: [[`max by (service, instance) (process_resident_memory_bytes{${PICKED}})`, '{{service}} {{instance}}']] }),
        graph({ asks: 'How much of it are live objects?', explains: 'The heap of JavaScript in use: its lows, right after a collection, are what is alive. The rest of the memory is buffers and code.', unit: 'bytes', queries: [[`max by (service, instance) (nodejs_heap_size_used_bytes{${PICKED}})`, '{{service}} {{instance}}']] }),
        graph({ asks: 'How much time goes into collecting garbage?', explains: 'Of one core. Above a tenth: memory is short.', unit: 'percentunit', queries: [[`sum by (service, kind) (rate(nodejs_gc_duration_seconds_sum{${PICKED}}[$__rate_interval]))`, '{{service}} {{kind}}']] }),
        graph({ asks: 'How many files and sockets are open?', explains: 'Of the dispatcher, a connection or more for each receiver. `ulimit -n` is the end of it.', unit: 'short', queries: [[`max by (service, instance) (process_open_fds{${PICKED}})`, '{{service}} {{instance}}']] }),
      ],
    },
    {
      title: 'What is asked of them',
      panels: [
        graph({ asks: 'How many requests, and how are they answered?', explains: '5xx are ours, 4xx of the callers; 429 are limits doing their work.', unit: 'reqps', queries: [[`sum by (service, status) (rate(posthorn_http_request_duration_seconds_count{${PICKED}}[$__rate_interval]))`, '{{service}} {{status}}']] }),
        graph({ asks: 'How long do requests take?', explains: 'To the end of the response; tails and exports are meant to be long.', unit: 's', queries: quantiles('posthorn_http_request_duration_seconds', `{${PICKED}}`, 'service', [0.5, 0.99]) }),
        graph({ asks: 'How many gRPC calls, and how do they end?', explains: '`UNAVAILABLE`, `INTERNAL` and `UNKNOWN` are ours.', unit: 'reqps', queries: [[`sum by (service, code) (rate(posthorn_grpc_request_duration_seconds_count{${PICKED}}[$__rate_interval]))`, '{{service}} {{code}}']] }),
        graph({ asks: 'What is not ready?', explains: '1 for each part that /readyz complains of.', unit: 'short', queries: [[`sum by (service, check) (1 - posthorn_ready_check{${PICKED}})`, '{{service}}: {{check}}']], runbook: 'not-ready' }),
      ],
    },
  ],
};
