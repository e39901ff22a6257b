package system

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
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

	mu    sync.Mutex // guards asked
	asked [][]string // what a person has said, in each conversation as it was sent; see said
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

// turn is one side's in a conversation.
type turn struct {
	Role    string
	Content json.RawMessage // a text, or pieces
}

// said is what a person has said in a turn: texts, and of all else its type in brackets.
func (t turn) said() (all []string) {
	if t.Role != "user" {
		return nil
	}
	var text string
	if json.Unmarshal(t.Content, &text) == nil {
		return []string{text}
	}
	var pieces []struct{ Type, Text string }
	_ = json.Unmarshal(t.Content, &pieces) // of another form it has none
	for _, p := range pieces {
		if p.Text == "" {
			p.Text = "[" + strings.TrimPrefix(p.Type, "input_") + "]"
		}
		all = append(all, p.Text)
	}
	return all
}

// converses says whether a request is a person's. Agents ask for titles and the like too,
// and give no tools then.
func converses(body []byte) bool { return strings.Contains(string(body), `"tools":[{`) }

// note keeps what a person has said.
func (m *models) note(body []byte, turns []turn) {
	if !converses(body) {
		return
	}
	var all []string
	for _, t := range turns {
		all = append(all, t.said()...)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.asked = append(m.asked, all)
}

// conversation is all that a person has said in the conversation that was sent last.
func (m *models) conversation() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.asked) == 0 {
		return nil
	}
	return m.asked[len(m.asked)-1]
}

// message is Anthropic's.
func (m *models) message(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	var q struct {
		Stream   bool
		Messages []turn
	}
	if err := json.Unmarshal(body, &q); err != nil || !q.Stream {
		http.Error(w, "only streams", http.StatusBadRequest)
		return
	}
	m.note(body, q.Messages)
	delta := func(s string) object {
		return object{"type": "content_block_delta", "index": 0, "delta": object{"type": "text_delta", "text": s}}
	}
	m.stream(w, r, converses(body), []object{
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
	var q struct{ Input []turn }
	if err := json.Unmarshal(body, &q); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	m.note(body, q.Input)
	said := func(text string) object {
		return object{"type": "message", "id": "i", "role": "assistant", "content": []object{{"type": "output_text", "text": text}}}
	}
	delta := func(s string) object {
		return object{"type": "response.output_text.delta", "item_id": "i", "output_index": 0, "content_index": 0, "delta": s}
	}
	m.stream(w, r, converses(body), []object{
		{"type": "response.created", "response": object{"id": "r"}},
		{"type": "response.output_item.added", "output_index": 0, "item": said("")},
		delta(saying[0]),
	}, []object{
		delta(saying[1]),
		{"type": "response.output_item.done", "output_index": 0, "item": said(saying[0] + saying[1])},
		{"type": "response.completed", "response": object{"id": "r", "usage": object{"input_tokens": 1, "output_tokens": 1, "total_tokens": 2}}},
	})
}
