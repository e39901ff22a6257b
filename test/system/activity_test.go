package system

import (
	"regexp"
	"testing"
	"time"
)

// A list says of real agents in conversation which of them is at work and which waits for a
// person, and of a shell at its prompt that it is idle; also when another bridge has them.
func TestActivityOfAgents(t *testing.T) {
	beginLong(t, 3*lifetime)
	installAgents(t)
	m := newModels(t)
	configureAgents(t, m)
	haveAgentsRing(t)
	operator := as(t, "operator").with("ANTHROPIC_API_KEY="+claudeKey, "ANTHROPIC_BASE_URL="+m.URL)
	codex := began(t, operator, "/", "--no-workspace", "codex")
	claude := began(t, operator, "/", "--no-workspace", "--env", "ANTHROPIC_API_KEY", "--env", "ANTHROPIC_BASE_URL", "claude")
	agents := []string{codex, claude}
	shell := began(t, operator, "/", "--", "bash", "--norc")

	for i, prompt := range []string{"Ask Codex", "bypass permissions on"} {
		peek(t, agents[i], prompt)
		does(t, agents[i], "idle")
		output(t, operator, "aaau", "send", agents[i], "tell me")
		peek(t, agents[i], "tell me")
		// A return that comes in one burst with a text is a part of it.
		does(t, agents[i], "idle")
		output(t, operator, "aaau", "send", agents[i], "\r")
		peek(t, agents[i], "Here is")
	}
	for _, id := range agents {
		await(t, "it to be at work for long", func() bool {
			what, since := activityOf(t, id)
			return what == "works" && time.Since(since) > 6*time.Second // longer than it takes to be idle
		})
	}
	close(m.answer)
	calls := map[string]time.Time{}
	for _, id := range agents {
		peek(t, id, "the end of it")
		calls[id] = does(t, id, "waits")
	}
	does(t, shell, "idle")
	for id, form := range map[string]string{codex: `waits \d+[sm]`, claude: `waits \d+[sm]`, shell: `idle \d+[sm]`} {
		line := regexp.MustCompile(id + ` .* ` + form + `\n`)
		if table := output(t, operator, "aaau", "list") + "\n"; !line.MatchString(table) {
			t.Errorf("a list does not have %s: %s", line, table)
		}
	}
	kill(t, mainPID(t, "aaau.service"), 9)
	for _, id := range agents {
		if what, since := activityOf(t, id); what != "waits" || !since.Equal(calls[id]) {
			t.Errorf("by the next bridge it %s since %v, not since %v", what, since, calls[id])
		}
	}
	output(t, operator, "aaau", "freeze", codex)
	if what, _ := activityOf(t, codex); what != "" || inStatus(t, codex, "state") != "frozen" {
		t.Errorf("frozen, it %s", what)
	}
	output(t, operator, "aaau", "thaw", codex)
	for _, id := range agents {
		output(t, operator, "aaau", "send", id, "n")
		if what, _ := activityOf(t, id); what == "waits" {
			t.Error("answered, it waits still")
		}
		does(t, id, "idle")
	}
}

// haveAgentsRing has the agents call whenever they need somebody, and soon.
func haveAgentsRing(t *testing.T) {
	t.Helper()
	output(t, as(t, "root"), "sh", "-ec", `cd "$0"
		printf '[tui]\nnotifications = true\nnotification_condition = "always"\n' >>.codex/config.toml
		sed -i '1s/{/{"preferredNotifChannel": "terminal_bell", "messageIdleNotifThresholdMs": 1000, /' .claude.json`, homeFor(t, "operator"))
}

// activityOf is what a session's status says that its program does, and since when.
func activityOf(t *testing.T, id string) (what string, since time.Time) {
	t.Helper()
	s := parsed[struct {
		Activity string
		Since    float64 `json:"activity_since"`
	}](t, as(t, "root"), "aaau", "status", id, "--json")
	return s.Activity, time.UnixMicro(int64(s.Since * 1e6))
}

// does waits until a session does something, and says since when.
func does(t *testing.T, id, want string) (since time.Time) {
	t.Helper()
	what := ""
	if !eventually(func() bool {
		what, since = activityOf(t, id)
		return what == want
	}) {
		t.Fatalf("session %s %s, and never %s", id, what, want)
	}
	return since
}
