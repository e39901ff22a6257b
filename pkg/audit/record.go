package audit

import (
	"fmt"
	"time"

	"github.com/AgentaaU/AaaU/pkg/argv"
)

// Source is whose doing a record is.
type Source string

// The sources.
const (
	Human  Source = "human"
	Agent  Source = "agent"
	System Source = "system"
)

// Kind is a record's command_type.
type Kind string

// The kinds. Each has metadata of a type of its own, below.
const (
	KindSessionStart Kind = "session_start"
	KindSessionEnd   Kind = "session_end"
	KindAttach       Kind = "attach"
	KindDetach       Kind = "detach"
	KindInput        Kind = "input"
	KindOutput       Kind = "output"
	KindResize       Kind = "resize"
	KindControl      Kind = "control"
	KindDenied       Kind = "denied"
	KindBridgeStart  Kind = "bridge_start"
	KindBridgeResume Kind = "bridge_resume"
	KindSegment      Kind = "segment"
	KindRetention    Kind = "retention"
	KindHole         Kind = "hole"
	KindChanges      Kind = "changes"
)

// Record is what is to be recorded. When, and where in the chain, is the chain's to
// say, and what kind it is, its metadata's.
type Record struct {
	Source    Source
	User      string // a name, or the number of who has none
	SessionID string // in a session's chain its own may be left out
	Content   string // for people, but in Input and Output; see those
	Metadata  Metadata
}

// Metadata is one of the types below.
type Metadata interface{ Kind() Kind }

// Person says which process of whose did something.
type Person struct {
	UID      uint32  `json:"uid"`
	LoginUID *uint32 `json:"loginuid"` // as who they came to the machine; nil: not known
	PID      int32   `json:"pid"`
	Client   uint64  `json:"client,omitempty"` // the bridge's number of the connection
}

// SessionStart is the first record of a session. Its source is the system, its user
// the owner, its content the program for people.
type SessionStart struct {
	Person                // the owner
	Program   argv.String `json:"program"`
	Argv      argv.Argv   `json:"argv"`
	Profile   string      `json:"profile"`
	AgentUser string      `json:"agent_user"`
	AgentPID  int         `json:"agent_pid"` // of its stage
	PTY       string      `json:"pty,omitempty"`
	Pipes     bool        `json:"pipes,omitempty"` // instead of a terminal
	// ErrorsApart: a pipe for the standard error, beside a terminal.
	ErrorsApart bool              `json:"errors_apart,omitempty"`
	Rows        uint16            `json:"rows,omitempty"`
	Cols        uint16            `json:"cols,omitempty"`
	Scope       string            `json:"scope"`
	Name        string            `json:"name,omitempty"`
	Private     bool              `json:"private,omitempty"`  // the owner's and Admins' only
	Deadline    float64           `json:"deadline,omitempty"` // when it will be ended, in seconds since 1970
	Limits      map[string]string `json:"limits,omitempty"`   // systemd's properties
	Workspaces  argv.Argv         `json:"workspaces"`
	Secrets     argv.Argv         `json:"secrets"`         // the names of what it was given
	Input       string            `json:"input,omitempty"` // full or none: whether input is recorded
}

// SessionEnd tells how a session ended. Status and Signal are nil when the program
// never ran, or nobody knows.
type SessionEnd struct {
	Status *int `json:"status,omitempty"`
	Signal *int `json:"signal,omitempty"`
	// Unknown: the program ran, and nobody knows how it ended.
	Unknown    bool   `json:"unknown,omitempty"`
	DurationMS int64  `json:"duration_ms"`
	Bytes      int64  `json:"bytes"` // of output
	ErrorBytes int64  `json:"error_bytes,omitempty"`
	MemoryPeak *int64 `json:"memory_peak,omitempty"` // bytes
	CPUUsec    *int64 `json:"cpu_usec,omitempty"`
}

// Attach is somebody who joined; the content is their role.
type Attach struct {
	Person
	Role string `json:"role"`
}

// Detach is somebody who left; the content says why, if it was not their wish.
type Detach struct{ Person }

// Input is what somebody typed, which is the content: NewInput makes it. Person is nil
// when nobody did: NewAnswer makes that.
type Input struct {
	*Person
	Bytes    int    `json:"bytes"`
	Encoding string `json:"encoding,omitempty"` // base64: of the content, which is no UTF-8
	Withheld string `json:"withheld,omitempty"` // why the content is not here: password, profile; rights, where it is shown
}

// Output is what the program wrote, which is the content. Chain.Output records it.
type Output struct {
	Stream   Stream `json:"stream"`
	Offset   int64  `json:"offset"` // of its first byte, in the stream
	Bytes    int    `json:"bytes"`
	Encoding string `json:"encoding,omitempty"` // as in Input
}

// Hole is output that is not in the record and never will be; the content says why.
// Chain.Miss records it.
type Hole struct {
	Stream Stream `json:"stream"`
	Offset int64  `json:"offset"` // of the first byte that is missing, in the stream
	Bytes  int64  `json:"bytes"`
}

func (h *Hole) String() string {
	if h.Bytes == 0 {
		return "some records are lost here"
	}
	return fmt.Sprintf("%d bytes of %s are not in the record", h.Bytes, h.Stream)
}

// Resize is a new size of the terminal. Person is nil when nobody asked for it.
type Resize struct {
	*Person
	Rows uint16 `json:"rows"`
	Cols uint16 `json:"cols"`
}

// Control is what was done to a session, or to the bridge. Person is nil when it was
// the system's own doing.
type Control struct {
	*Person
	Action string      `json:"action"`
	Signal int         `json:"signal,omitempty"` // of kill
	With   *uint32     `json:"with,omitempty"`   // of share and unshare: whose role it is
	Role   string      `json:"role,omitempty"`   // of share and unshare
	Path   argv.String `json:"path,omitempty"`   // of put
	Home   string      `json:"home,omitempty"`   // of freeze and thaw for want of room
	Reason string      `json:"reason,omitempty"` // for people
	Error  string      `json:"error,omitempty"`  // for people
}

// Denied is somebody who was refused something; the content says what, and why. With More
// it stands for so many refusals, of which no other record tells: what else it says is of
// the last.
type Denied struct {
	Person
	More    int     `json:"more,omitempty"`
	Since   float64 `json:"since,omitempty"`   // when the first was, in seconds since 1970
	Until   float64 `json:"until,omitempty"`   // and the last
	Several bool    `json:"several,omitempty"` // not all were this user's
}

// Changes are files in a session's workspaces that its owner's client found changed, and that
// tools of theirs run. It is what the client said: the bridge does not see the files. What
// does not fit into one record is in several, of which all but the last say More.
type Changes struct {
	Person
	Changes []Change `json:"changes"`
	Total   int      `json:"total"`           // of changes that were found, in all these records and beyond
	More    bool     `json:"more,omitempty"`  // the list continues in the next record
	Error   string   `json:"error,omitempty"` // for people: why the client may not have found all
}

// Change is one of them. Files is how many it stands for, where it is a whole directory.
type Change struct {
	Path  argv.String `json:"path"`
	What  string      `json:"what"`
	Files int         `json:"files,omitempty"`
}

// Opened is what a chain says when a bridge begins to write it.
type Opened struct {
	PID     int    `json:"pid"`
	Version string `json:"version"`
	// Cut is how long the torn line was, in bytes, that stood at the end and is gone.
	Cut int64 `json:"cut,omitempty"`
	// Damaged is how many bytes stand before this record that are none of the chain's.
	Damaged int64 `json:"damaged,omitempty"`
}

// BridgeStart is the first record of a bridge in its own chain. Chains write it
// themselves, and the next three too.
type BridgeStart struct{ Opened }

// BridgeResume is the first record of a later bridge in a session's chain.
type BridgeResume struct {
	Opened
	Offsets
}

// Segment is the first record of each file of a chain but the first. So it is enough
// to read the last file to go on.
type Segment struct {
	Previous string `json:"previous"` // the file before
	Offsets
}

// Retention says which file of a chain was removed, and with which record it ended. It
// is written, and on the disk, before that happens.
type Retention struct {
	Chain  string `json:"chain"`
	File   string `json:"file"`
	Bytes  int64  `json:"bytes"`
	Seq    uint64 `json:"seq"`
	Hash   Digest `json:"hash"`
	Reason string `json:"reason"` // age or size
}

// Stream is one of the two that a program writes. A terminal has Stdout only.
type Stream uint8

// The streams.
const (
	Stdout Stream = iota
	Stderr
)

var streamNames = [...]string{"output", "errors"}

func (s Stream) String() string { return streamNames[s] }

// MarshalText implements encoding.TextMarshaler.
func (s Stream) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (s *Stream) UnmarshalText(b []byte) error {
	for i, name := range streamNames {
		if string(b) == name {
			*s = Stream(i)
			return nil
		}
	}
	return errNoStream
}

// Offsets are how much of each stream the chain has so far, in bytes.
type Offsets struct {
	Output int64 `json:"output"`
	Errors int64 `json:"errors"`
}

func (o *Offsets) of(s Stream) *int64 {
	if s == Stderr {
		return &o.Errors
	}
	return &o.Output
}

// Kind implements Metadata, and so do the others.
func (SessionStart) Kind() Kind { return KindSessionStart }
func (SessionEnd) Kind() Kind   { return KindSessionEnd }
func (Attach) Kind() Kind       { return KindAttach }
func (Detach) Kind() Kind       { return KindDetach }
func (Input) Kind() Kind        { return KindInput }
func (Output) Kind() Kind       { return KindOutput }
func (Resize) Kind() Kind       { return KindResize }
func (Control) Kind() Kind      { return KindControl }
func (Denied) Kind() Kind       { return KindDenied }
func (BridgeStart) Kind() Kind  { return KindBridgeStart }
func (BridgeResume) Kind() Kind { return KindBridgeResume }
func (Segment) Kind() Kind      { return KindSegment }
func (Retention) Kind() Kind    { return KindRetention }
func (Hole) Kind() Kind         { return KindHole }
func (Changes) Kind() Kind      { return KindChanges }

// Known says whether there is such a kind.
func (k Kind) Known() bool { return newMetadata(k) != nil }

// newMetadata makes room for a kind's metadata, to be read into. It is nil for what
// is no kind.
func newMetadata(k Kind) Metadata {
	switch k {
	case KindSessionStart:
		return new(SessionStart)
	case KindSessionEnd:
		return new(SessionEnd)
	case KindAttach:
		return new(Attach)
	case KindDetach:
		return new(Detach)
	case KindInput:
		return new(Input)
	case KindOutput:
		return new(Output)
	case KindResize:
		return new(Resize)
	case KindControl:
		return new(Control)
	case KindDenied:
		return new(Denied)
	case KindBridgeStart:
		return new(BridgeStart)
	case KindBridgeResume:
		return new(BridgeResume)
	case KindSegment:
		return new(Segment)
	case KindRetention:
		return new(Retention)
	case KindHole:
		return new(Hole)
	case KindChanges:
		return new(Changes)
	}
	return nil
}

// NewInput makes the record of what a person typed into a session.
func NewInput(user string, who Person, typed []byte) Record {
	content, encoding := exact(typed)
	return Record{Source: Human, User: user, Content: content, Metadata: Input{Person: &who, Bytes: len(typed), Encoding: encoding}}
}

// NewWithheldInput makes the record of n bytes that a person typed and that are not to
// be recorded, because of what why says: password or profile.
func NewWithheldInput(user string, who Person, n int, why string) Record {
	return Record{Source: Human, User: user, Metadata: Input{Person: &who, Bytes: n, Withheld: why}}
}

// NewAnswer makes the record of what the bridge typed, in place of a terminal that its
// program has asked something and that is not there.
func NewAnswer(typed []byte) Record {
	content, encoding := exact(typed)
	return Record{Source: System, User: "system", Content: content, Metadata: Input{Bytes: len(typed), Encoding: encoding}}
}

// stamp is a record's timestamp: microseconds since 1970.
func stamp(t time.Time) int64 { return t.UnixMicro() }
