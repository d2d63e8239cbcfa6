package main

// A threat is a fault or an attack that delivery must survive, and the tests that show that it does.
type threat struct {
	id, what string
	tests    []string // "directory Test"
	limit    string   // what is not shown, or cannot be
}

// threats are C01, C04 to C11, C17 to C21 and C24 to C28 of the threat model. A test holds the names against the tree.
var threats = []threat{
	{"C01", "SMTP smuggling: something like an end of data inside a message",
		[]string{"test/prove TestC01Smuggling", "internal/lmtp TestC01OnlyCRLFDotCRLFEnds"}, ""},
	{"C04", "partial failure: one of three recipients is over quota",
		[]string{"test/prove TestC04OneOverQuota", "internal/lmtp TestC05ReplyPerRecipient"}, ""},
	{"C05", "a recipient named twice, none, DATA before RCPT: as many replies as recipients, and no hang",
		[]string{"test/prove TestC05NoRecipient", "internal/lmtp TestC05ReplyPerRecipient"}, ""},
	{"C06", "the connection or the process ends between commit and reply",
		[]string{"test/prove TestKillServerEverywhere", "test/prove TestKillFilterEverywhere", "test/limits TestKilledUnderLoad"}, "the message is delivered twice, never lost; there is no memory of what was delivered"},
	{"C07", "kill -9 or a power cut at any system call",
		[]string{"test/prove TestKillServerEverywhere", "test/prove TestKillFilterEverywhere", "test/limits TestKilledUnderLoad", "deliver TestKilled", "deliver TestOrderOnDisk", "test/limits TestOrderOfDelivery"},
		"a power cut is shown by the order of the calls (file synced, linked, directory synced, then 250), not by a block device that forgets"},
	{"C08", "fsync fails, and would succeed the second time",
		[]string{"test/prove TestErrnoServer", "test/prove TestErrnoFilter", "test/prove TestErrnoByStrace", "deliver TestFsyncFailsOnce", "internal/durable TestFaults"}, ""},
	{"C09", "ENOSPC, EIO, EDQUOT, EROFS, EMFILE, ENOMEM, EACCES, ESTALE at any call",
		[]string{"test/prove TestErrnoServer", "test/prove TestErrnoFilter", "test/prove TestErrnoReload", "test/prove TestErrnoByStrace", "test/prove TestDiskFull", "deliver TestFaultMatrix", "deliver TestFaultCodes", "internal/lmtp TestSpoolFault", "internal/agent TestKeyStoreFailure"}, ""},
	{"C10", "no descriptors or no memory at accept and open",
		[]string{"test/prove TestC10Descriptors", "internal/lmtp TestC10AcceptBacksOff"}, ""},
	{"C11", "two messages want the same name",
		[]string{"deliver TestUniqueNames", "internal/durable TestTakenName", "internal/durable TestConcurrent"}, ""},
	{"C17", "a panic, a stack overflow, a runaway goroutine, a wrong configuration: never an exit code that bounces",
		[]string{"test/prove TestC17Broken", "internal/filter TestC17EveryEnd", "internal/filter TestParentCannotStartTheChild", "test/prove TestKillFilterEverywhere", "internal/agent TestPanic", "internal/status TestTables"}, ""},
	{"C18", "standard input ends early",
		[]string{"test/prove TestC18CutOff", "internal/filter TestParentEnds", "test/limits TestGoneInData"}, "a pipe whose writer was killed ends like one whose writer is done: use LMTP"},
	{"C19", "success before standard input was read to its end",
		[]string{"test/prove TestC19ReadsToTheEnd", "internal/filter TestEmptyInput"}, ""},
	{"C20", "SIGPIPE from the log or the output after delivery",
		[]string{"test/prove TestC20NobodyListens", "internal/filter TestC20NobodyReads", "internal/filter TestAlone"}, ""},
	{"C21", "a disk that hangs: an answer before the mail server gives up",
		[]string{"test/prove TestC21DiskHangs", "internal/filter TestC17EveryEnd"}, "lmtpd answers when the disk does; Postfix waits 600 s and tries again"},
	{"C24", "lines of any length",
		[]string{"test/prove TestC24Lines", "internal/lmtp TestGoSMTP06LongLineInDATA", "internal/message TestHeaderBombs"}, "with Postfix: lmtp_line_length_limit = 0"},
	{"C25", "headers of 50 MB, a million fields, floods of addresses and parameters",
		[]string{"test/limits TestBombs", "internal/message TestHeaderBombs", "internal/message TestParseMediaTypeFloods"}, ""},
	{"C26", "slow clients, idle clients, too many of them",
		[]string{"test/limits TestSlowClients", "internal/lmtp TestC26Deadlines", "internal/lmtp TestC26MaxPerClient", "test/prove TestC26TooManyConnections"}, ""},
	{"C27", "many large messages at once",
		[]string{"test/limits TestC27LargeAtOnce"}, ""},
	{"C28", "a message over the limit: refused, never cut",
		[]string{"test/prove TestC28Limit", "internal/lmtp TestC28Size", "internal/lmtp TestGoSMTP05ExactlySIZE"}, ""},
}
