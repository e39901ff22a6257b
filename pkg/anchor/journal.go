package anchor

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

const journalSource = "the journal"

// journalctl is what is asked for the launcher's entries. Anybody can write an entry with
// any field but those that begin with an underscore, which are journald's own: these
// say who wrote it, and are what it is trusted by.
var journalctl = []string{
	"journalctl", "--system", "--quiet", "--no-pager", "--output=json",
	"--output-fields=_UID,_SYSTEMD_UNIT,_TRANSPORT,AAAU_EVENT,AAAU_SESSION,AAAU_SEQ,AAAU_HASH,AAAU_FINAL",
	"_UID=0", "_SYSTEMD_UNIT=" + Unit, "AAAU_EVENT=" + Event,
}

// Journal is the anchors in this machine's journal, as far as it reaches back. That it
// cannot be read is a *Doubt: it is the second witness.
func Journal(ctx context.Context) iter.Seq2[Anchor, error] {
	return func(yield func(Anchor, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		cmd := exec.CommandContext(ctx, journalctl[0], journalctl[1:]...)
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		out, err := cmd.StdoutPipe()
		if err == nil {
			err = cmd.Start()
		}
		if err != nil {
			yield(Anchor{}, &Doubt{journalSource, err.Error()})
			return
		}
		found, more := readJournal(out, yield)
		if !more {
			cancel()
			_ = cmd.Wait() // killed
			return
		}
		// Nothing found is a failure to journalctl, without a word.
		if err := cmd.Wait(); err != nil && (found || stderr.Len() > 0 || ctx.Err() != nil) {
			yield(Anchor{}, &Doubt{journalSource, fmt.Sprintf("journalctl: %v: %.300q", err, strings.TrimSpace(stderr.String()))})
		}
	}
}

// readJournal reads what journalctl prints.
func readJournal(r io.Reader, yield func(Anchor, error) bool) (found, more bool) {
	for d := json.NewDecoder(r); ; found = true {
		var fields map[string]any
		err := d.Decode(&fields)
		if errors.Is(err, io.EOF) {
			return found, true
		}
		if err != nil {
			return found, yield(Anchor{}, &Doubt{journalSource, fmt.Sprintf("journalctl does not print JSON: %v", err)})
		}
		a, err := entry(fields)
		if err != nil {
			err = &Doubt{fmt.Sprintf("%s at %v", journalSource, fields["__CURSOR"]), fmt.Sprintf("it is no anchor (%v): skipped", err)}
		}
		if !yield(a, err) {
			return found, false
		}
	}
}

// entry is an entry of the journal. A field that is there twice, or is no text, is an
// array in JSON.
func entry(fields map[string]any) (Anchor, error) {
	get := func(name string) string {
		text, _ := fields[name].(string)
		return text
	}
	for name, want := range map[string]string{"_UID": "0", "_SYSTEMD_UNIT": Unit, "_TRANSPORT": "journal", "AAAU_EVENT": Event} {
		if get(name) != want {
			return Anchor{}, fmt.Errorf("%s is %.80q", name, fmt.Sprint(fields[name]))
		}
	}
	seq, err := strconv.ParseUint(get("AAAU_SEQ"), 10, 64)
	if err != nil {
		return Anchor{}, fmt.Errorf("AAAU_SEQ: %w", err)
	}
	usec, err := strconv.ParseInt(get("__REALTIME_TIMESTAMP"), 10, 64)
	if err != nil {
		return Anchor{}, fmt.Errorf("__REALTIME_TIMESTAMP: %w", err)
	}
	h := Head{Chain: get("AAAU_SESSION"), Seq: seq, Hash: get("AAAU_HASH"), Final: get("AAAU_FINAL") == "yes"}
	return Anchor{h, time.UnixMicro(usec).UTC(), journalSource}, h.Check()
}
