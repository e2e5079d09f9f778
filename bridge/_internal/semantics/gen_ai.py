"""Generative AI: the vocabularies of OpenInference and Traceloop in that of OpenTelemetry, which Sentry reads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bridge._internal.semantics.attributes import first_text

if TYPE_CHECKING:
    from collections.abc import Mapping

OPERATION = "gen_ai.operation.name"

# https://github.com/Arize-ai/openinference/blob/main/spec/semantic_conventions.md
_OPENINFERENCE_KINDS = {
    "LLM": "chat",
    "CHAIN": "invoke_agent",
    "AGENT": "invoke_agent",
    "TOOL": "execute_tool",
    "EMBEDDING": "embeddings",
    "RERANKER": "rerank",
    "RETRIEVER": "retrieval",
    "EVALUATOR": "evaluate",
    "GUARDRAIL": "guardrail",
}
_OPENINFERENCE_NAMES = {
    "llm.model_name": "gen_ai.request.model",
    "embedding.model_name": "gen_ai.request.model",
    "reranker.model_name": "gen_ai.request.model",
    "llm.provider": "gen_ai.provider.name",
    "llm.system": "gen_ai.provider.name",
    "llm.token_count.prompt": "gen_ai.usage.input_tokens",
    "llm.token_count.completion": "gen_ai.usage.output_tokens",
    "llm.token_count.total": "gen_ai.usage.total_tokens",
    "llm.token_count.prompt_details.cache_read": "gen_ai.usage.cache_read.input_tokens",
    "llm.token_count.prompt_details.cache_write": "gen_ai.usage.cache_creation.input_tokens",
    "llm.token_count.completion_details.reasoning": "gen_ai.usage.reasoning.output_tokens",
    "llm.finish_reason": "gen_ai.response.finish_reasons",
    "tool.name": "gen_ai.tool.name",
    "tool.description": "gen_ai.tool.description",
    "agent.name": "gen_ai.agent.name",
    "session.id": "gen_ai.conversation.id",
}
# https://github.com/traceloop/openllmetry: packages/opentelemetry-semantic-conventions-ai
_TRACELOOP_KINDS = {"workflow": "invoke_agent", "agent": "invoke_agent", "tool": "execute_tool", "task": "task"}
_TRACELOOP_REQUESTS = {
    "chat": "chat",
    "completion": "text_completion",
    "embedding": "embeddings",
    "rerank": "rerank",
}
_TRACELOOP_NAMES = {"llm.usage.total_tokens": "gen_ai.usage.total_tokens"}
_ENTITY_NAMES = {"invoke_agent": "gen_ai.agent.name", "execute_tool": "gen_ai.tool.name"}


def operation(attributes: Mapping[str, Any]) -> str:
    """Return what a span of generative AI does, in any of the vocabularies; the empty text if it is none."""
    return (
        first_text(attributes, OPERATION)
        or _TRACELOOP_REQUESTS.get(first_text(attributes, "llm.request.type"), "")
        or _TRACELOOP_KINDS.get(first_text(attributes, "traceloop.span.kind").lower(), "")
        or _OPENINFERENCE_KINDS.get(first_text(attributes, "openinference.span.kind").upper(), "")
    )


def complete(attributes: dict[str, Any]) -> None:
    """Add the names that Sentry's AI module reads, where a span has only those of OpenInference or Traceloop."""
    done = operation(attributes)
    if not done:
        return
    attributes.setdefault(OPERATION, done)
    is_openinference = "openinference.span.kind" in attributes
    for old, new in (_OPENINFERENCE_NAMES if is_openinference else _TRACELOOP_NAMES).items():
        if old in attributes:
            attributes.setdefault(new, attributes[old])
    entity = first_text(attributes, "traceloop.entity.name")
    if entity and done in _ENTITY_NAMES:
        attributes.setdefault(_ENTITY_NAMES[done], entity)
