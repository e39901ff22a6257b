package system

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// saying is what the models answer, in Markdown, until they are let go, and then.
var saying = [2]string{
	"Here is **bold**, *slanted* and `code`, 日本語, e\u0301 and \U0001F642:\n\n```go\nfunc main() { println(\"日本語\") }\n```\n\n",
	"| a | b |\n|---|---|\n| 1 | 漢 |\n\n- the end of it\n",
}

// models are those of the companies that make codex and claude, as far as these can
// tell: on the loopback interface, and with one answer.
type models struct {
	*httptest.Server
	answer chan struct{} // closed, the rest of the answer comes
}

func newModels(t *testing.T) *models {
	m := &models{answer: make(chan struct{})}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/messages", m.message)
	mux.HandleFunc("POST /v1/responses", m.response)
	m.Server = httptest.NewServer(mux)
	t.Cleanup(func() {
		m.CloseClientConnections() // an answer may be due still
		m.Close()
	})
	return m
}

// stream sends events, and lets the rest of them wait.
func (m *models) stream(w http.ResponseWriter, r *http.Request, wait bool, before, after []object) {
	w.Header().Set("Content-Type", "text/event-stream")
	for i, events := range [][]object{before, after} {
		if i == 1 && wait {
			_ = http.NewResponseController(w).Flush() // it fails if the agent has gone
			select {
			case <-m.answer:
			case <-r.Context().Done():
			}
		}
		for _, e := range events {
			text, _ := json.Marshal(e)
			fmt.Fprintf(w, "event: %s\ndata: %s\n\n", e["type"], text)
		}
	}
}

// message is Anthropic's.
func (m *models) message(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	var q struct{ Stream bool }
	if err := json.Unmarshal(body, &q); err != nil || !q.Stream {
		http.Error(w, "only streams", http.StatusBadRequest)
		return
	}
	delta := func(s string) object {
		return object{"type": "content_block_delta", "index": 0, "delta": object{"type": "text_delta", "text": s}}
	}
	m.stream(w, r, strings.Contains(string(body), `"tools":[{`), []object{
		{"type": "message_start", "message": object{"id": "m", "type": "message", "role": "assistant", "model": "m", "content": []any{},
			"usage": object{"input_tokens": 1, "output_tokens": 1}}},
		{"type": "content_block_start", "index": 0, "content_block": object{"type": "text", "text": ""}},
		delta(saying[0]),
	}, []object{
		delta(saying[1]),
		{"type": "content_block_stop", "index": 0},
		{"type": "message_delta", "delta": object{"stop_reason": "end_turn"}, "usage": object{"output_tokens": 5}},
		{"type": "message_stop"},
	})
}

// response is OpenAI's.
func (m *models) response(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	said := func(text string) object {
		return object{"type": "message", "id": "i", "role": "assistant", "content": []object{{"type": "output_text", "text": text}}}
	}
	delta := func(s string) object {
		return object{"type": "response.output_text.delta", "item_id": "i", "output_index": 0, "content_index": 0, "delta": s}
	}
	m.stream(w, r, strings.Contains(string(body), `"tools":[{`), []object{
		{"type": "response.created", "response": object{"id": "r"}},
		{"type": "response.output_item.added", "output_index": 0, "item": said("")},
		delta(saying[0]),
	}, []object{
		delta(saying[1]),
		{"type": "response.output_item.done", "output_index": 0, "item": said(saying[0] + saying[1])},
		{"type": "response.completed", "response": object{"id": "r", "usage": object{"input_tokens": 1, "output_tokens": 1, "total_tokens": 2}}},
	})
}
