"""Lines that real CLIs (0.80.0, 0.163.0 and 0.169.0) wrote, and the events that they are.

Where a long text, a path or an id stood, a shorter one stands here; nothing else was changed.
"""

from __future__ import annotations

from codex_sdk.events import (
    ItemCompletedEvent,
    ItemStartedEvent,
    ItemUpdatedEvent,
    ThreadError,
    ThreadErrorEvent,
    ThreadEvent,
    ThreadStartedEvent,
    TurnCompletedEvent,
    TurnFailedEvent,
    TurnStartedEvent,
    Usage,
)
from codex_sdk.items import (
    AgentMessageItem,
    CollabAgentState,
    CollabToolCallItem,
    CommandExecutionItem,
    ErrorItem,
    FileChangeItem,
    FileUpdateChange,
    McpToolCallItem,
    McpToolCallItemError,
    McpToolCallItemResult,
    ReasoningItem,
    TodoItem,
    TodoListItem,
    WebSearchItem,
)

_THREAD = "01a2b3c4-0000-7000-8000-000000000001"
_AGENT = "01a2b3c4-0000-7000-8000-000000000002"

CLI_LINES: dict[str, tuple[str, ThreadEvent]] = {
    "thread started": (
        f'{{"type":"thread.started","thread_id":"{_THREAD}"}}',
        ThreadStartedEvent(_THREAD),
    ),
    "turn started": ('{"type":"turn.started"}', TurnStartedEvent()),
    "turn completed, 0.80": (
        '{"type":"turn.completed","usage":{"input_tokens":11,"cached_input_tokens":3,"output_tokens":7}}',
        TurnCompletedEvent(Usage(11, 3, 7)),
    ),
    "turn completed": (
        (
            '{"type":"turn.completed","usage":{"input_tokens":11,"cached_input_tokens":3,'
            '"cache_write_input_tokens":0,"output_tokens":7,"reasoning_output_tokens":2}}'
        ),
        TurnCompletedEvent(Usage(11, 3, 7, reasoning_output_tokens=2)),
    ),
    "turn failed": (
        (
            '{"type":"turn.failed","error":{"message":"exceeded retry limit, last status: 429 Too Many '
            'Requests, request id: req_mock"}}'
        ),
        TurnFailedEvent(
            ThreadError(
                "exceeded retry limit, last status: 429 Too Many Requests, request id: req_mock"
            )
        ),
    ),
    "reconnection": (
        '{"type":"error","message":"Reconnecting... 1/5 (unexpected status 401 Unauthorized: )"}',
        ThreadErrorEvent("Reconnecting... 1/5 (unexpected status 401 Unauthorized: )"),
    ),
    "agent message": (
        '{"type":"item.completed","item":{"id":"item_0","type":"agent_message","text":"Hello from mock"}}',
        ItemCompletedEvent(AgentMessageItem("item_0", "Hello from mock")),
    ),
    "reasoning": (
        (
            r'{"type":"item.completed","item":{"id":"item_1","type":"reasoning","text":"**Thinking hard**\n\n'
            'about it"}}'
        ),
        ItemCompletedEvent(ReasoningItem("item_1", "**Thinking hard**\n\nabout it")),
    ),
    "command started": (
        (
            '{"type":"item.started","item":{"id":"item_0","type":"command_execution","command":"/bin/bash '
            '-lc \'echo oops >&2; exit 3\'","aggregated_output":"","exit_code":null,'
            '"status":"in_progress"}}'
        ),
        ItemStartedEvent(
            CommandExecutionItem("item_0", "/bin/bash -lc 'echo oops >&2; exit 3'", "")
        ),
    ),
    "command failed": (
        (
            '{"type":"item.completed","item":{"id":"item_0","type":"command_execution","command":"/bin/bash '
            '-lc \'echo oops >&2; exit 3\'","aggregated_output":"oops\\n","exit_code":3,'
            '"status":"failed"}}'
        ),
        ItemCompletedEvent(
            CommandExecutionItem(
                "item_0", "/bin/bash -lc 'echo oops >&2; exit 3'", "oops\n", 3, "failed"
            )
        ),
    ),
    "file change": (
        (
            '{"type":"item.completed","item":{"id":"item_1","type":"file_change","changes":'
            '[{"path":"/abs/added.txt","kind":"add"}],"status":"completed"}}'
        ),
        ItemCompletedEvent(
            FileChangeItem("item_1", (FileUpdateChange("/abs/added.txt", "add"),), "completed")
        ),
    ),
    "plan": (
        (
            '{"type":"item.started","item":{"id":"item_0","type":"todo_list","items":[{"text":"one",'
            '"completed":false},{"text":"two","completed":false}]}}'
        ),
        ItemStartedEvent(TodoListItem("item_0", (TodoItem("one", False), TodoItem("two", False)))),
    ),
    "plan updated": (
        (
            '{"type":"item.updated","item":{"id":"item_0","type":"todo_list","items":[{"text":"one",'
            '"completed":true},{"text":"two","completed":false}]}}'
        ),
        ItemUpdatedEvent(TodoListItem("item_0", (TodoItem("one", True), TodoItem("two", False)))),
    ),
    "MCP call": (
        (
            '{"type":"item.completed","item":{"id":"item_1","type":"mcp_tool_call","server":"tiny","tool":'
            '"adder","arguments":{"a":1,"b":2},"result":{"content":[{"type":"text","text":"sum=3"}],'
            '"structured_content":{"ok":true}},"error":null,"status":"completed"}}'
        ),
        ItemCompletedEvent(
            McpToolCallItem(
                "item_1",
                "tiny",
                "adder",
                "completed",
                {"a": 1, "b": 2},
                McpToolCallItemResult(({"type": "text", "text": "sum=3"},), {"ok": True}),
            )
        ),
    ),
    "MCP call refused": (
        (
            '{"type":"item.completed","item":{"id":"item_1","type":"mcp_tool_call","server":"tiny","tool":'
            '"adder","arguments":{"a":1,"b":2},"result":null,"error":{"message":"MCP tool call requires '
            'approval, but approval policy is never"},"status":"failed"}}'
        ),
        ItemCompletedEvent(
            McpToolCallItem(
                "item_1",
                "tiny",
                "adder",
                "failed",
                {"a": 1, "b": 2},
                error=McpToolCallItemError(
                    "MCP tool call requires approval, but approval policy is never"
                ),
            )
        ),
    ),
    "web search, 0.80": (
        '{"type":"item.completed","item":{"id":"item_0","type":"web_search","query":"weather"}}',
        ItemCompletedEvent(WebSearchItem("item_0", "weather")),
    ),
    "web search started": (
        (
            '{"type":"item.started","item":{"id":"item_1","type":"web_search","id":"ws_26","query":"",'
            '"action":{"type":"other"}}}'
        ),
        ItemStartedEvent(WebSearchItem("item_1", "", {"type": "other"})),
    ),
    "web search": (
        (
            '{"type":"item.completed","item":{"id":"item_1","type":"web_search","id":"ws_26","query":'
            '"weather","action":{"type":"search","query":"weather","queries":["weather","rain"]}}}'
        ),
        ItemCompletedEvent(
            WebSearchItem(
                "item_1",
                "weather",
                {"type": "search", "query": "weather", "queries": ["weather", "rain"]},
            )
        ),
    ),
    "sub-agent": (
        (
            '{"type":"item.completed","item":{"id":"item_1","type":"collab_tool_call","tool":"spawn_agent",'
            f'"sender_thread_id":"{_THREAD}","receiver_thread_ids":["{_AGENT}"],"prompt":"sub hello",'
            f'"agents_states":{{"{_AGENT}":{{"status":"pending_init","message":null}}}},'
            '"status":"completed"}}'
        ),
        ItemCompletedEvent(
            CollabToolCallItem(
                "item_1",
                "spawn_agent",
                _THREAD,
                (_AGENT,),
                "sub hello",
                {_AGENT: CollabAgentState("pending_init")},
                "completed",
            )
        ),
    ),
    "warning": (
        (
            '{"type":"item.completed","item":{"id":"item_0","type":"error","message":"Model metadata for '
            '`gpt-5-codex` not found. Defaulting to fallback metadata."}}'
        ),
        ItemCompletedEvent(
            ErrorItem(
                "item_0",
                "Model metadata for `gpt-5-codex` not found. Defaulting to fallback metadata.",
            )
        ),
    ),
}
"""What the line is about, to the line and its event."""
