package journal

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/AgentaaU/AaaU/pkg/anchor"
)

const catalog = "../../packaging/aaau.catalog"

// Each kind of entry is explained, and nothing else; each explanation says what it is
// about and what to do, and fills in only what entries have.
func TestCatalog(t *testing.T) {
	text, err := os.ReadFile(catalog)
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.Split("\n"+string(text), "\n-- ")
	explained := map[string]string{}
	for _, part := range parts[1:] {
		id, rest, _ := strings.Cut(part, "\n")
		if explained[id] != "" {
			t.Errorf("%s is explained twice", id)
		}
		explained[id] = rest
	}
	fields := regexp.MustCompile(`@[^@\n]*@`)
	events := map[string]bool{}
	for kind, k := range kinds {
		if !regexp.MustCompile(`^[0-9a-f]{32}$`).MatchString(k.id) || k.event == "" || events[k.event] {
			t.Errorf("kind %d: %+v", kind, k)
		}
		events[k.event] = true
		said := explained[k.id]
		delete(explained, k.id)
		if !regexp.MustCompile(`^Subject: \S.+\nDefined-By: AaaU\nSupport: \S+\nDocumentation: \S+\n\n(?s:.{40,})`).MatchString(said) {
			t.Errorf("%s, %s, is not explained in %s: %q", k.event, k.id, catalog, said)
		}
		for _, f := range fields.FindAllString(said, -1) {
			switch f {
			case "@AAAU_SESSION@", "@AAAU_PROFILE@", "@AAAU_AGENT_USER@", "@AAAU_USER@", "@AAAU_UID@":
			case "@AAAU_LOST@":
				if Kind(kind) != Lost {
					t.Errorf("%s has no %s", k.event, f)
				}
			default:
				t.Errorf("%s has no %s", k.event, f)
			}
		}
	}
	if explained[anchor.MessageID] == "" {
		t.Errorf("anchors are not explained in %s", catalog)
	}
	delete(explained, anchor.MessageID)
	for id := range explained {
		t.Errorf("%s is explained, and no kind's", id)
	}
}
