// A service with @sentry/node alone: `node sentry_service.cjs PORT RATE FOLDER_OF_ITS_PACKAGES`.
"use strict";
const { createRequire } = require("node:module");
const Sentry = createRequire(`${process.argv[4]}/`)("@sentry/node");
const { serve } = require("./chain.cjs");

Sentry.init({
  dsn: "http://theirs@127.0.0.1:9/3",
  release: "node-service@1",
  tracesSampleRate: process.argv[3] === "off" ? undefined : Number(process.argv[3]),
  defaultIntegrations: false,
  traceLifecycle: "static",
  transport: () => ({ send: async () => ({}), flush: async () => true }),
});

serve((received, next) =>
  Sentry.continueTrace({ sentryTrace: received["sentry-trace"], baggage: received.baggage }, () =>
    Sentry.startSpan({ name: "GET /", op: "http.server" }, (span) => {
      const sent = Sentry.getTraceData();
      const [traceId, spanId, flag] = sent["sentry-trace"].split("-");
      return next({
        trace_id: traceId,
        parent_span_id: Sentry.spanToJSON(span).parent_span_id ?? null,
        sampled: flag === undefined ? null : flag === "1",
        sending_span_id: spanId,
        sent,
      });
    }),
  ),
);
