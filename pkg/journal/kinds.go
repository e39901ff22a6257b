package journal

import "github.com/coreos/go-systemd/v22/journal"

// Kind is what happened. Each has a MESSAGE_ID, by which packaging/aaau.catalog explains
// it to people: journalctl -x.
type Kind int

const (
	SessionStart Kind = iota
	SessionEnd
	SilentEnd // … of which nobody knows how its program ended
	Attach
	Detach
	Denied
	Kill
	Deadline // ended, as its time is over
	Freeze
	Thaw
	Share
	Unshare
	Put
	LookBack // replay, export, search
	Relock
	Exposed     // what git runs cannot be locked again
	OutOfMemory // the kernel killed a process of a session
	Tripped     // killed for what would have been run as the person
	Poisonous   // its output killed bridges
	Stranded    // a session goes on that this bridge cannot take back
	BridgeStart // by hand
	BridgeResume
	Reload
	NotReloaded
	NoLimits      // a session is not held to its limits: the kernel lacks a controller
	NotStarted    // a file is wrong, and people are told so
	UnknownDenied // access.conf denies a name that nobody has
	BrokenProfile // a profile has a mistake in it, and is refused
	RecordHole
	Retention // what has expired of the record was removed
	NoLauncher
	Lost
	Trouble      // what else went wrong
	Launch       // the launcher's own: it made a session
	LaunchTimes  // … how long the steps of that took
	LaunchDenied // … refused the bridge something
	Control      // … did something to a session
	Orphan       // … killed what was frozen and nobody's
)

// kinds are what each is called by programs, which never changes: the id, and
// AAAU_EVENT.
var kinds = [...]struct {
	id, event string
	priority  journal.Priority
}{
	SessionStart:  {"692efe783da3449aa79c415875410a37", "session_start", journal.PriInfo},
	SessionEnd:    {"7485633decf4437886ff7ef6c539c8de", "session_end", journal.PriInfo},
	SilentEnd:     {"29c3230a7c2d41e18ba48479d630ef6d", "silent_end", journal.PriWarning},
	Attach:        {"22fa9374fead452b80eeac835f3626ff", "attach", journal.PriInfo},
	Detach:        {"8abe996defe54b33905a0974454a7832", "detach", journal.PriInfo},
	Denied:        {"32d4511798294543a8597b7dcb939f53", "denied", journal.PriNotice},
	Kill:          {"fc73457000b84e0eb09f5351caa61f20", "kill", journal.PriNotice},
	Deadline:      {"7b28c43b389d41eca96a08b97db1e44b", "deadline", journal.PriNotice},
	Freeze:        {"1ad36613374c448ba6ed080264210aca", "freeze", journal.PriNotice},
	Thaw:          {"9b8d1df5f59f4e28b993032af7e38bd1", "thaw", journal.PriNotice},
	Share:         {"1e84001901d448f086b65cd4b29f9e5c", "share", journal.PriNotice},
	Unshare:       {"4a4b12a984944d4cba11fcc8377bff64", "unshare", journal.PriNotice},
	Put:           {"e95b9aa5d0e6403e99e001af01203aea", "put", journal.PriInfo},
	LookBack:      {"b02d9343cce64c4b9b26ec0ef8a28c0c", "look_back", journal.PriNotice},
	Relock:        {"9f448a3a4e304116a40519c469612451", "relock", journal.PriNotice},
	Exposed:       {"dc81bcc2b3dc4a1698ced61fdddeac87", "exposed", journal.PriWarning},
	OutOfMemory:   {"7d0c1b6a3f5e4c2f9a8b4e6d2c1f0a97", "out_of_memory", journal.PriWarning},
	Tripped:       {"caef5375bd7347a6881a792b5e40bd55", "tripped", journal.PriWarning},
	Poisonous:     {"5b22f0294c0c4cd6bd6b1c179caf510a", "poisonous", journal.PriErr},
	Stranded:      {"65f5429670f943d3b4eaefa52c58c8dc", "stranded", journal.PriErr},
	BridgeStart:   {"0ef2c76b6439497fa6d1f1d5bbdb649b", "bridge_start", journal.PriInfo},
	BridgeResume:  {"b1cd1223036c4f43ae4bda567aeb64bf", "bridge_resume", journal.PriInfo},
	Reload:        {"c60fef9729f54d11aaa6aaa8abb0cbd9", "reload", journal.PriInfo},
	NotReloaded:   {"a79c5449d6f941d3bfae7f2c03bc4b20", "not_reloaded", journal.PriErr},
	NoLimits:      {"5f0f3a2f1b7d4c0c9a3e6d1c2b8e7a94", "no_limits", journal.PriWarning},
	NotStarted:    {"39e82d70b76a4d90bc786d53b17f18c7", "not_started", journal.PriErr},
	UnknownDenied: {"e369885352ed4e618da592dc126da74e", "unknown_denied", journal.PriWarning},
	BrokenProfile: {"e8ff139e8c2c429cbb72838f41824091", "broken_profile", journal.PriErr},
	RecordHole:    {"30c800555c7043cbbcbdadae59406bdc", "record_hole", journal.PriErr},
	Retention:     {"9fcec9fc674f4e66a84ccbce0653e9a6", "retention", journal.PriInfo},
	NoLauncher:    {"8d14f23f662c48d0959ff9ce71e49b3d", "no_launcher", journal.PriErr},
	Lost:          {"3cc3a887095343718fc45111bd2e1dd6", "entries_lost", journal.PriWarning},
	Trouble:       {"735cfde32a09493a97d41e37a049c9b2", "trouble", journal.PriWarning},
	Launch:        {"04883416e14e4730a24b97bedbc1868b", "launch", journal.PriInfo},
	LaunchTimes:   {"b7a91c0d5e2f4836a1d4c97be0538f62", "launch_times", journal.PriDebug},
	LaunchDenied:  {"aa3a25dd561b45fba8d7f4bd7d76872e", "launch_denied", journal.PriWarning},
	Control:       {"274e8647c206400fbce3575105bf6305", "control", journal.PriInfo},
	Orphan:        {"919f1d1cc7e846b99bf0d6bd0572c8b9", "orphan", journal.PriWarning},
}
