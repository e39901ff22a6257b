package wire

import (
	"unicode/utf8"

	"encoding/json"

	"github.com/AgentaaU/AaaU/pkg/argv"
	"github.com/AgentaaU/AaaU/pkg/spec"
)

// Size is a terminal's.
type Size = spec.Size

// OpenRequest asks for a new session, or with Attach for an existing one.
type OpenRequest struct {
	Attach string `json:"attach,omitempty"` // a session's id, its beginning, or a name
	spec.Session
	Name     string `json:"name,omitempty"` // a new session's; empty: after its directory
	ReadOnly bool   `json:"read_only,omitempty"`
	// Time is how long a new session may take, in seconds, at most MaxTime; 0: as long as
	// it likes.
	Time int64 `json:"time,omitempty"`
	// Piped says that a new session is a part of a pipe: its program waits for
	// this client however slow it is, and ends when the client goes away.
	Piped bool `json:"piped,omitempty"`
	// Screen: a client with a terminal is shown the session's screen (Redraw), with up to
	// History lines of what went before, instead of the output so far, of what it was too
	// slow for, and of what was printed for a terminal of another size.
	Screen  bool `json:"screen,omitempty"`
	History int  `json:"history,omitempty"`
	// Resume is a secret of the client's own making, by which it is known when it
	// comes back after its bridge has died; 0: it will not. With Attach and Back it has
	// come back, and wants output from these offsets on.
	Resume     uint64 `json:"resume,string,omitempty"`
	Back       bool   `json:"back,omitempty"`
	From       int64  `json:"from,omitempty"`
	FromErrors int64  `json:"from_errors,omitempty"`
	// Sent is how many bytes of input a client that has come back has sent, and Away for
	// how many seconds it had no bridge: what that means to its person is told in words.
	Sent uint64  `json:"sent,omitempty"`
	Away float64 `json:"away,omitempty"`
	// Skipped and Missing are how many bytes of output were left out, and of input lost, in
	// an earlier bridge's time, when that one died before its words about it had stood for long.
	Skipped uint64 `json:"skipped,omitempty"`
	Missing uint64 `json:"missing,omitempty"`
	// Detached: nobody is in the new session; the connection ends after Opened.
	Detached bool `json:"detached,omitempty"`
}

// MaxTime bounds OpenRequest.Time: a year.
const MaxTime = 366 * 24 * 60 * 60

// OpenReply is a session that the client is now in.
type OpenReply struct {
	ID      string  `json:"id"`
	Name    string  `json:"name,omitempty"`
	Profile string  `json:"profile"`
	Program string  `json:"program"` // what it is called, perhaps cut
	User    string  `json:"user"`    // the agent's
	Owner   uint32  `json:"owner"`
	Role    string  `json:"role"`
	Client  uint64  `json:"client"` // this client's number among all
	Began   float64 `json:"began"`  // in seconds since 1970
	Offset  int64   `json:"offset"` // of the first byte that will come

	Deadline float64 `json:"deadline,omitempty"` // when it will be ended, likewise; 0: never

	OffsetErrors int64 `json:"offset_errors,omitempty"` // likewise, of the errors
	// Typed is how many bytes of a resuming client's input the program got, Unknown how
	// many after those it may have got or not. All further ones it did not get.
	Known   bool   `json:"known,omitempty"` // there is such a count
	Typed   uint64 `json:"typed,omitempty"`
	Unknown uint64 `json:"unknown,omitempty"`

	Dirs    []spec.Shown `json:"dirs,omitempty"`    // what it sees of people's files
	Secrets []string     `json:"secrets,omitempty"` // variables that it was given
	Watch   []string     `json:"watch,omitempty"`
	Private bool         `json:"private,omitempty"` // only its owner, Admins, and those it is shared with may join it
	Pipes   bool         `json:"pipes,omitempty"`   // it has no terminal
	// ErrorsApart: it has a terminal, and what it writes to its standard error comes apart.
	ErrorsApart bool   `json:"errors_apart,omitempty"`
	Limits      Limits `json:"limits"`
	Record      string `json:"record"` // what is recorded, for people: all, or what else
}

// Limits are a session's, 0 where there is none.
type Limits struct {
	Memory int64 `json:"memory,omitempty"` // bytes
	Tasks  int64 `json:"tasks,omitempty"`
	Home   int64 `json:"home,omitempty"` // bytes
	// Missing are the kernel's controllers that the session has not: nothing holds it to limits
	// of these. "memory", "pids".
	Missing []string `json:"missing,omitempty"`
}

// Verb is what a Request is for.
type Verb string

// The requests. Each but DoProfile, DoList, DoSubscribe, DoSearch is for one session.
const (
	DoProfile   Verb = "profile"   // Profile → Profile
	DoList      Verb = "list"      // After → Sessions, More
	DoStatus    Verb = "status"    // → Sessions: one, with People and Shared
	DoSend      Verb = "send"      // Bytes: typed
	DoType      Verb = "type"      // Bytes, Paste, Keys, Enter: a text, and then keys, as the program has asked for them
	DoPeek      Verb = "peek"      // → Screen
	DoWait      Verb = "wait"      // → Ended, when it has
	DoKill      Verb = "kill"      // Signal, or Gently
	DoFreeze    Verb = "freeze"    //
	DoThaw      Verb = "thaw"      //
	DoShare     Verb = "share"     // UID, ReadOnly
	DoUnshare   Verb = "unshare"   // UID
	DoPut       Verb = "put"       // File, with a sealed memfd → Path
	DoDismiss   Verb = "dismiss"   // Client, or all that one may → Count
	DoRedraw    Verb = "redraw"    // of the session that the client is in: a Redraw comes
	DoSubscribe Verb = "subscribe" // → Events of all sessions that one may see, from now on
	DoReplay    Verb = "replay"    // → Pieces of an asciicast; Incomplete
	DoExport    Verb = "export"    // Format → Pieces; Incomplete
	DoChanges   Verb = "changes"   // Changes: what the owner's client found; or without → Pieces of lines of JSON: Found
	DoSearch    Verb = "search"    // Query, and Session or all → Pieces of lines of JSON: Found; Incomplete
)

// Request asks for one thing, and is answered by a Reply or a Refused of its Seq.
type Request struct {
	Seq     uint32 `json:"seq"`
	Do      Verb   `json:"do"`
	Session string `json:"session,omitempty"` // an id, its beginning, or a name; empty in a session: that one

	Profile  string      `json:"profile,omitempty"` // empty: the default
	After    string      `json:"after,omitempty"`   // the last id of the list before
	Bytes    []byte      `json:"bytes,omitempty"`   // base64
	Paste    bool        `json:"paste,omitempty"`   // Bytes are pasted: bracketed, if the program wants that
	Keys     []string    `json:"keys,omitempty"`    // their names, as C-c, Escape
	Enter    bool        `json:"enter,omitempty"`   // and the Enter key after them
	Signal   int         `json:"signal,omitempty"`  // 0: SIGKILL
	Gently   bool        `json:"gently,omitempty"`  // instead of SIGKILL: SIGTERM first, which programs heed
	UID      *uint32     `json:"uid,omitempty"`
	ReadOnly bool        `json:"read_only,omitempty"`
	Client   uint64      `json:"client,omitempty"`
	File     argv.String `json:"file,omitempty"` // its name
	Format   string      `json:"format,omitempty"`
	Query    *Query      `json:"query,omitempty"`
	Changes  *Changes    `json:"changes,omitempty"`
}

// Formats of an export.
const (
	FormatAsciicast = "asciicast"
	FormatText      = "text"
	FormatJSONL     = "jsonl"
	FormatRaw       = "raw"
)

// Query is what is looked for in the record: what all that is set fits.
type Query struct {
	Text  string   `json:"text,omitempty"`
	User  string   `json:"user,omitempty"`
	From  float64  `json:"from,omitempty"` // in seconds since 1970; included
	To    float64  `json:"to,omitempty"`   // likewise
	Kinds []string `json:"kinds,omitempty"`
}

// Found is a record that was found.
type Found struct {
	Time    float64 `json:"timestamp"` // in seconds since 1970
	Source  string  `json:"source"`
	User    string  `json:"user"`
	Session string  `json:"session_id"`
	Kind    string  `json:"command_type"`
	Text    string  `json:"text"` // a line of output, or the content
	// Of the session, where its start is recorded: its name, and where it works.
	Name     string          `json:"name,omitempty"`
	Dir      argv.String     `json:"directory,omitempty"`
	Metadata json.RawMessage `json:"metadata,omitempty"`
	Seq      uint64          `json:"seq"`
}

// Reply answers a Request.
type Reply struct {
	Seq      uint32        `json:"seq"`
	Profile  *ProfileReply `json:"profile,omitempty"`
	Sessions []SessionInfo `json:"sessions,omitempty"`
	More     bool          `json:"more,omitempty"` // ask again, After the last
	Screen   *Screen       `json:"screen,omitempty"`
	Ended    *EndedNote    `json:"ended,omitempty"`
	Path     string        `json:"path,omitempty"`
	Count    int           `json:"count,omitempty"`
	// Incomplete says, for people, what of the record could not be told: it has expired, or
	// is damaged.
	Incomplete string `json:"incomplete,omitempty"`
}

// ProfileReply is what a client has to know of a profile to ask for a session of
// it. That it asks for no more is not relied upon.
type ProfileReply struct {
	Name      string `json:"name"`
	Workspace bool   `json:"workspace,omitempty"` // it works in the current directory
	Tools     bool   `json:"tools,omitempty"`     // it wants the person's tools
	// WorkspaceTools says that sessions with a directory of the person's take their tools,
	// and that variables of tools may be "~", a place in the agent's home.
	WorkspaceTools bool     `json:"workspace_tools,omitempty"`
	Env            []string `json:"env,omitempty"`     // variables it may be given by name
	Watch          []string `json:"watch,omitempty"`   // names of files whose change the person is told
	Install        bool     `json:"install,omitempty"` // it has that step of a setup
	Login          bool     `json:"login,omitempty"`
	Tape           int64    `json:"tape,omitempty"` // bytes of output that are kept for those who join late
}

// SessionInfo is a session as those see it who may.
type SessionInfo struct {
	ID        string   `json:"id"`
	Name      string   `json:"name"`
	Profile   string   `json:"profile"`
	Program   string   `json:"program"`
	Owner     uint32   `json:"owner"`
	OwnerName string   `json:"owner_name"`
	User      string   `json:"user"` // the agent's
	Role      string   `json:"role"` // what who asks is there
	Began     float64  `json:"began"`
	Deadline  float64  `json:"deadline,omitempty"` // when it will be ended; 0: never
	State     string   `json:"state"`              // StateRunning, StateFrozen, StateEnded, StateStranded
	Frozen    []string `json:"frozen,omitempty"`
	FrozenBy  string   `json:"frozen_by,omitempty"` // who froze it, where a person did
	// Activity is what a running session's program seems to do, and ActivitySince since when, in
	// seconds since 1970: ActivityWorks, ActivityWaits, ActivityIdle. Empty: it is not known.
	Activity      string     `json:"activity,omitempty"`
	ActivitySince float64    `json:"activity_since,omitempty"`
	Why           string     `json:"why,omitempty"`   // it is stranded
	Title         string     `json:"title,omitempty"` // as its program set it, made harmless
	Private       bool       `json:"private"`
	Pipes         bool       `json:"pipes"`
	Rows          uint16     `json:"rows"`
	Cols          uint16     `json:"cols"`
	Bytes         int64      `json:"bytes"` // of output so far
	Workspaces    argv.Argv  `json:"workspaces"`
	Clients       int        `json:"clients"`
	People        []Person   `json:"people,omitempty"`
	Shared        []Share    `json:"shared,omitempty"`
	Others        string     `json:"others,omitempty"` // of a status: what members of the access group may do who are not named; see OthersJoin
	Ended         *EndedNote `json:"ended,omitempty"`
	// Starved is how many of its processes the kernel has killed for want of memory.
	Starved int64 `json:"starved,omitempty"`
	// Of a status: in which of its Workspaces the agent may write, and names of files whose
	// change its owner is told.
	Writable argv.Argv `json:"writable,omitempty"`
	Watch    []string  `json:"watch,omitempty"`
}

// What members of the access group may do with a session of somebody else's, by itself.
const (
	OthersJoin  = "join"  // in their own role
	OthersWatch = "watch" // but not type
	OthersNone  = "none"  // it is not there for them
)

// States of a session.
const (
	StateRunning = "running"
	StateFrozen  = "frozen"
	StateEnded   = "ended"
	// StateStranded is that of a session which goes on, and which this bridge cannot take
	// back, as a newer one made it, say: Why. Little is known of it.
	StateStranded = "stranded"
)

// What a running session's program seems to do.
const (
	ActivityWorks = "works" // it prints
	ActivityWaits = "waits" // it called for a person's attention, and nobody has typed since
	ActivityIdle  = "idle"  // it is silent, and called for nobody
)

// Person is one client in a session.
type Person struct {
	Client uint64  `json:"client"`
	UID    uint32  `json:"uid"`
	Name   string  `json:"name"`
	PID    int32   `json:"pid"`
	Role   string  `json:"role"`
	Since  float64 `json:"since"`
	Drives bool    `json:"drives,omitempty"` // typed last: the size and the clipboard are theirs
}

// Share is somebody whom a session is shared with.
type Share struct {
	UID  uint32 `json:"uid"`
	Name string `json:"name"`
	Role string `json:"role"`
}

// Screen is what a session shows at present: lines of printable characters.
type Screen struct {
	Text string `json:"text"`
	Row  int    `json:"row"` // of the cursor, from 0
	Col  int    `json:"col"`
	Rows int    `json:"rows"`
	Cols int    `json:"cols"`
}

// Event is something that happened to a session. Those in it are told of it, and
// whoever asked to be told and may see it.
type Event struct {
	Time    float64    `json:"time"`
	Kind    string     `json:"kind"`
	Session string     `json:"session,omitempty"`
	Name    string     `json:"name,omitempty"`
	Profile string     `json:"profile,omitempty"`
	Owner   uint32     `json:"owner"`
	Client  uint64     `json:"client,omitempty"` // whose doing it is, if a client's
	UID     *uint32    `json:"uid,omitempty"`
	User    string     `json:"user,omitempty"`
	Role    string     `json:"role,omitempty"`
	Title   string     `json:"title,omitempty"` // of an attention
	Message string     `json:"message,omitempty"`
	Ended   *EndedNote `json:"ended,omitempty"`
	Count   int        `json:"count,omitempty"` // of events that were dropped
}

// Kinds of events.
const (
	EventStart     = "start"
	EventEnd       = "end"
	EventAttach    = "attach"
	EventDetach    = "detach"
	EventAttention = "attention" // a bell or a notice of the program's
	EventFreeze    = "freeze"
	EventThaw      = "thaw"
	EventKill      = "kill"
	EventDeadline  = "deadline" // the session's time is over, or soon will be: Message
	EventShare     = "share"
	EventUnshare   = "unshare"
	EventTrouble   = "trouble" // Message says what
	EventDropped   = "dropped" // Count events, for want of being read
	EventSkipped   = "skipped" // Count bytes of output, for the screen as it is now
)

// EndedNote is how the agent ended: a wait status taken apart.
type EndedNote struct {
	Code   int `json:"code"`
	Signal int `json:"signal,omitempty"`
	// Why is the reason, for people, where neither the program nor a person ended it: the kernel
	// had no memory for it, or nobody knows.
	Why string `json:"why,omitempty"`
	// Unknown: nobody knows how the program ended, and Code is CodeUnknown.
	Unknown bool `json:"unknown,omitempty"`
}

// CodeUnknown is the exit status of a program of which nobody knows how it ended: that of a
// client which failed. It is no signal's, for AaaU knows of none.
const CodeUnknown = 255

// ErrorNote is a refusal or a failure.
type ErrorNote struct {
	Seq     uint32 `json:"seq,omitempty"` // of the request, in a Refused
	Code    string `json:"code"`          // stable, for programs
	Message string `json:"message"`
}

func (e *ErrorNote) Error() string { return e.Message }

// MaxMessage bounds each text of an ErrorNote and of an Event, in bytes. The encoders cut
// what is longer, so that no frame grows with what somebody else wrote.
const MaxMessage = 4 << 10

// bounded is the note with its texts cut to MaxMessage.
func (e ErrorNote) bounded() ErrorNote {
	e.Message = cut(e.Message)
	return e
}

// bounded is the event with its texts cut to MaxMessage.
func (v Event) bounded() Event {
	for _, text := range []*string{&v.Session, &v.Name, &v.Profile, &v.User, &v.Role, &v.Title, &v.Message} {
		*text = cut(*text)
	}
	return v
}

// cut is at most MaxMessage bytes of a text, without a broken character at its end.
func cut(text string) string {
	if len(text) <= MaxMessage {
		return text
	}
	n := MaxMessage
	for n > MaxMessage-utf8.UTFMax && !utf8.RuneStart(text[n]) {
		n--
	}
	return text[:n]
}

// CodeDismissed is that of the Error to a client which somebody took out of a
// session that goes on.
const CodeDismissed = "dismissed"

// CodeGaveWay is that of the Refused to a look back at the record which was not read on,
// and whose place others needed. It may be asked for again.
const CodeGaveWay = "gave-way"

// CodeNotStarted is that of the Error to whoever connects to a bridge that cannot start as
// long as a file is wrong. Its sessions are kept.
const CodeNotStarted = "not-started"

// LostNote tells a client that these bytes are not coming.
type LostNote struct {
	From int64 `json:"from"`
	To   int64 `json:"to"`
	// Errors: of the standard error.
	Errors bool `json:"errors,omitempty"`
}
