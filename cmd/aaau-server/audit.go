package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/AgentaaU/AaaU/pkg/anchor"
	"github.com/AgentaaU/AaaU/pkg/audit"
)

// What verify exits with.
const (
	exitWrong       = 1 // something is wrong with the record
	exitNotVerified = 2 // something could not be looked at, and of the rest nothing is wrong
)

// How often a chain is looked at that may just be written, or compressed.
const (
	verifyTries = 5
	verifyPause = 200 * time.Millisecond
)

func auditCommand() *cli.Command {
	return &cli.Command{Name: "audit", Usage: "test the record",
		Action: func(c *cli.Context) error {
			if c.NArg() > 0 {
				return fmt.Errorf("unknown command audit %q: there is audit verify", c.Args().First())
			}
			return cli.ShowSubcommandHelp(c)
		},
		Subcommands: []*cli.Command{{
			Name: "verify", Usage: "say whether the record is as it was written", ArgsUsage: "[FILE|ID]...",
			Flags: []cli.Flag{
				&cli.BoolFlag{Name: "all", Usage: "all chains, also those of which only anchors are left (the default)"},
				&cli.StringFlag{Name: "log-dir", Aliases: []string{"l"}, Value: defaults.logDir, Usage: "the record is in `DIR`"},
				&cli.StringFlag{Name: "anchors", Value: anchor.Dir, Usage: "the launcher's files of anchors are in `DIR`, beside those in the journal"},
				&cli.BoolFlag{Name: "no-anchors", Usage: "test the record by itself only"},
				&cli.BoolFlag{Name: "json", Usage: "print a line of JSON for each chain"},
			},
			Action: func(c *cli.Context) error {
				v := verifying{anchored: !c.Bool("no-anchors"), print: printVerdict}
				if c.Bool("json") {
					v.print = json.NewEncoder(os.Stdout).Encode
				}
				err := v.verify(c)
				switch {
				case v.wrong > 0:
					return failure{err, exitWrong}
				case err != nil || v.failed > 0:
					return failure{err, exitNotVerified}
				}
				return nil
			},
			OnUsageError: func(_ *cli.Context, err error, _ bool) error {
				return failure{fmt.Errorf("%w (see aaau-server audit verify --help)", err), exitNotVerified}
			},
		}},
	}
}

func (v *verifying) verify(c *cli.Context) error {
	chains, err := chosen(c)
	if err != nil {
		return err
	}
	var anchors []audit.Anchor
	if !c.Bool("no-anchors") {
		// Before the record: what is anchored later is not held against it.
		if anchors, err = readAnchors(c.Context, c.String("anchors"), chains); err != nil {
			return err
		}
	}
	if len(chains) == 0 {
		return v.all(c.String("log-dir"), anchors)
	}
	for _, name := range chains {
		if err := v.one(name, anchors); err != nil {
			return err
		}
	}
	return nil
}

// chain is one of some directory.
type chain struct{ dir, name string }

// chosen are the chains that the arguments name; none: all.
func chosen(c *cli.Context) (chains []chain, err error) {
	if c.Bool("all") && c.NArg() > 0 {
		return nil, errors.New("--all is without files and ids")
	}
	for _, arg := range c.Args().Slice() {
		if strings.HasPrefix(arg, "-") {
			return nil, fmt.Errorf("%s has to stand before files and ids", arg)
		}
		var one chain
		if strings.ContainsRune(arg, '/') || strings.Contains(arg, ".jsonl") {
			var ok bool
			if one.dir, one.name, ok = audit.ChainOf(arg); !ok {
				return nil, fmt.Errorf("%s is called as no file of the record is", arg)
			}
			if _, err := os.Stat(arg); err != nil {
				return nil, err
			}
		} else if one, err = known(c.String("log-dir"), arg); err != nil {
			return nil, err
		}
		if !slices.Contains(chains, one) {
			chains = append(chains, one)
		}
	}
	return chains, nil
}

// known is the chain of this name, or else of which this is the beginning.
func known(dir, ref string) (chain, error) {
	names, err := audit.Chains(dir)
	if err != nil {
		return chain{}, hint(err)
	}
	var fit []string
	for _, name := range names {
		if name == ref {
			return chain{dir, name}, nil
		}
		if strings.HasPrefix(name, ref) {
			fit = append(fit, name)
		}
	}
	switch len(fit) {
	case 1:
		return chain{dir, fit[0]}, nil
	case 0: // anchors may know of it
		return chain{dir, ref}, nil
	}
	return chain{}, fmt.Errorf("%s could be %s", ref, strings.Join(fit[:min(len(fit), 5)], ", "))
}

// hint says what to do about an error.
func hint(err error) error {
	if errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("%w: sudo aaau-server audit verify", err)
	}
	return err
}

// readAnchors reads what the launcher has kept of the chains; of none: of all.
func readAnchors(ctx context.Context, dir string, chains []chain) (all []audit.Anchor, err error) {
	wanted := func(name string) bool {
		return len(chains) == 0 || slices.ContainsFunc(chains, func(c chain) bool { return c.name == name })
	}
	found, doubts, err := anchor.Read(ctx, dir, wanted)
	for _, d := range doubts {
		fmt.Fprintf(os.Stderr, "aaau-server: anchors: %v\n", d)
	}
	if err != nil {
		return nil, hint(err)
	}
	for _, a := range found {
		own := audit.Anchor{Chain: a.Chain, Seq: a.Seq, Time: a.Time, Source: a.Source}
		if err := own.Hash.UnmarshalText([]byte(a.Hash)); err != nil {
			return nil, fmt.Errorf("%s: %w", a.Source, err)
		}
		all = append(all, own)
	}
	return all, nil
}

// verdict is what is said of a chain.
type verdict struct {
	Chain   string       `json:"chain"`
	State   string       `json:"state"` // ok, wrong, expired, failed
	Records uint64       `json:"records"`
	Last    uint64       `json:"last"` // the last of these
	Hash    audit.Digest `json:"hash"`
	Ended   bool         `json:"ended"`   // it has a session_end
	Holes   uint64       `json:"holes"`   // records that tell that output is missing
	Expired uint64       `json:"expired"` // records that are gone by retention
	// Of records and bytes that come after the last that is anchored; null: anchors were
	// not asked.
	Unanchored      *uint64  `json:"unanchored"`
	UnanchoredBytes *int64   `json:"unanchored_bytes"`
	Problem         *problem `json:"problem,omitempty"`
	Error           string   `json:"error,omitempty"`
}

type problem struct {
	Trouble audit.Trouble `json:"trouble"`
	File    string        `json:"file,omitempty"`
	Line    int           `json:"line,omitempty"`
	Seq     uint64        `json:"seq"`
	Through uint64        `json:"through,omitempty"`
	Why     string        `json:"why"`
}

// What a verdict can be.
const (
	stateOK      = "ok"
	stateWrong   = "wrong"
	stateExpired = "expired" // all of it, as far as can be said
	stateFailed  = "failed"
)

// verifying says what is the matter with chains, and counts.
type verifying struct {
	anchored bool
	print    func(any) error
	wrong    int
	failed   int
}

func (v *verifying) all(dir string, anchors []audit.Anchor) error {
	var notes []audit.Retention
	since := sinceWhen(dir)
	for r, err := range audit.VerifyAll(dir, anchors) {
		if r.Chain == "" {
			return hint(err)
		}
		notes = append(notes, r.Notes()...)
		if err != nil || r.Problem != nil && r.Problem.Trouble == audit.Torn {
			r, err = again(dir, r.Chain, anchors, notes)
		}
		if err := v.say(r, err, expiredLong(r, anchors, since)); err != nil {
			return err
		}
	}
	return nil
}

func (v *verifying) one(c chain, anchors []audit.Anchor) error {
	notes, err := allNotes(c.dir)
	if err != nil {
		return hint(err)
	}
	r, err := again(c.dir, c.name, anchors, notes)
	if err == nil && r.Records == 0 && r.Expired == 0 && r.Problem == nil {
		err = fmt.Errorf("there is no record of %s in %s", c.name, c.dir)
	}
	return v.say(r, err, expiredLong(r, anchors, sinceWhen(c.dir)))
}

// allNotes are what the bridges' chains say of what has expired. What is wrong with
// those themselves is said when they are verified.
func allNotes(dir string) (notes []audit.Retention, err error) {
	names, err := audit.Chains(dir)
	for _, name := range names {
		if audit.IsBridge(name) {
			r, err := audit.Verify(dir, name, nil, nil)
			if err != nil {
				return nil, err
			}
			notes = append(notes, r.Notes()...)
		}
	}
	return notes, err
}

// again verifies a chain that may be written, compressed or removed just now, until that
// is no reason any more for what is found.
func again(dir, name string, anchors []audit.Anchor, notes []audit.Retention) (r audit.Report, err error) {
	for try := range verifyTries {
		if try > 0 {
			time.Sleep(verifyPause)
		}
		r, err = audit.Verify(dir, name, anchors, notes)
		torn := r.Problem != nil && r.Problem.Trouble == audit.Torn
		if !torn && !errors.Is(err, fs.ErrNotExist) {
			break
		}
	}
	return r, err
}

// sinceWhen is how far back the bridge's own chain goes, which says what has expired; the
// zero time if it is all there.
func sinceWhen(dir string) time.Time {
	for e, err := range audit.Read(dir, audit.BridgeChain) {
		if err != nil || e.Seq == 1 {
			break
		}
		return e.Time
	}
	return time.Time{}
}

// expiredLong says whether a chain of which nothing is left may have expired so long ago
// that the note of it has expired too. Anchors are kept longer than records.
func expiredLong(r audit.Report, anchors []audit.Anchor, since time.Time) bool {
	if audit.IsBridge(r.Chain) || r.Records > 0 || r.Expired > 0 || r.Problem == nil || r.Problem.Trouble != audit.CutOff {
		return false
	}
	return !slices.ContainsFunc(anchors, func(a audit.Anchor) bool { return a.Chain == r.Chain && !a.Time.Before(since) })
}

func (v *verifying) say(r audit.Report, err error, expired bool) error {
	d := verdict{Chain: r.Chain, State: stateOK, Records: r.Records, Last: r.Last.Seq, Hash: r.Last.Hash, Ended: r.Ended, Holes: r.Holes, Expired: r.Expired}
	if v.anchored {
		d.Unanchored, d.UnanchoredBytes = &r.Unanchored, &r.UnanchoredBytes
	}
	if p := r.Problem; p != nil {
		d.Problem = &problem{p.Trouble, p.File, p.Line, p.Seq, p.Through, p.Why}
	}
	switch {
	case err != nil:
		d.State, d.Error = stateFailed, hint(err).Error()
		v.failed++
	case expired:
		d.State, d.Problem = stateExpired, nil
	case r.Problem != nil:
		d.State = stateWrong
		v.wrong++
	case r.Records == 0:
		d.State = stateExpired
	}
	if err := v.print(d); err != nil {
		return fmt.Errorf("printing: %w", err)
	}
	return nil
}

// printVerdict prints a line for people.
func printVerdict(what any) error {
	_, err := io.WriteString(os.Stdout, what.(verdict).String()+"\n")
	return err
}

func (d verdict) String() string {
	var parts []string
	add := func(format string, args ...any) { parts = append(parts, fmt.Sprintf(format, args...)) }
	switch d.State {
	case stateFailed:
		add("cannot be verified: %s", d.Error)
		return d.Chain + ": " + parts[0]
	case stateWrong:
		p := audit.Problem{Trouble: d.Problem.Trouble, File: d.Problem.File, Line: d.Problem.Line, Seq: d.Problem.Seq, Through: d.Problem.Through, Why: d.Problem.Why}
		add("WRONG: %v", &p)
		add("%d records before that are whole", d.Records)
	case stateExpired:
		add("expired: nothing is left of it")
		return d.Chain + ": " + parts[0]
	default:
		add("ok, %d records", d.Records)
	}
	if d.Holes > 0 {
		add("%d holes in the output, as it says itself", d.Holes)
	}
	if d.Expired > 0 {
		add("%d before them have expired", d.Expired)
	}
	switch {
	case d.Unanchored == nil:
		add("not held to anchors")
	case *d.Unanchored == 0:
		add("anchored to the last")
	case *d.Unanchored == d.Records:
		add("no anchor vouches for any (%d bytes)", *d.UnanchoredBytes)
	default:
		add("no anchor vouches for the last %d (%d bytes)", *d.Unanchored, *d.UnanchoredBytes)
	}
	return d.Chain + ": " + strings.Join(parts, ", ")
}
