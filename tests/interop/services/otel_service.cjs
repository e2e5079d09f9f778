// A service with OpenTelemetry JS alone: `node otel_service.cjs PORT RATE FOLDER_OF_ITS_PACKAGES`.
"use strict";
const { createRequire } = require("node:module");
const load = createRequire(`${process.argv[4]}/`);
const { context, propagation, trace, SpanKind } = load("@opentelemetry/api");
const { NodeTracerProvider } = load("@opentelemetry/sdk-trace-node");
const { ParentBasedSampler, TraceIdRatioBasedSampler } = load("@opentelemetry/sdk-trace-base");
const { serve } = require("./chain.cjs");

const root = new TraceIdRatioBasedSampler(process.argv[3] === "off" ? 0 : Number(process.argv[3]));
new NodeTracerProvider({ sampler: new ParentBasedSampler({ root }) }).register();
const tracer = trace.getTracer("service");

serve((received, next) => {
  const extracted = propagation.extract(context.active(), received);
  const parent = trace.getSpanContext(extracted);
  return context.with(extracted, () =>
    tracer.startActiveSpan("GET /", { kind: SpanKind.SERVER }, async (span) => {
      const sent = {};
      propagation.inject(context.active(), sent);
      const own = span.spanContext();
      const reports = await next({
        trace_id: own.traceId,
        parent_span_id: parent ? parent.spanId : null,
        sampled: (own.traceFlags & 1) === 1,
        sending_span_id: own.spanId,
        sent,
      });
      span.end();
      return reports;
    }),
  );
});
