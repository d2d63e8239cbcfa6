package status

// SMTP returns the reply for this Result: basic code, enhanced code and text (RFC 5321 section 4.2, RFC 2034).
func (r Result) SMTP() (code int, enhanced Enhanced, text string) {
	e := r.code()
	return basicCode(e), e, r.text()
}

// basicCode maps an enhanced code to the three digits of SMTP.
func basicCode(e Enhanced) int {
	switch e.Class {
	case 2:
		return 250
	case 5:
		switch e {
		case Enhanced{5, 1, 3}:
			return 501
		case Enhanced{5, 2, 2}, Enhanced{5, 3, 4}:
			return 552
		case Enhanced{5, 6, 0}, Enhanced{5, 4, 6}:
			return 554
		}
		return 550
	}
	switch e {
	case Enhanced{4, 2, 2}, Enhanced{4, 3, 1}:
		return 452
	case Enhanced{4, 3, 2}:
		return 421
	}
	return 451
}

// The exit codes of a delivery agent. There are no others: Postfix bounces on every code but 0, 71 and 75.
const (
	ExitDelivered = 0
	ExitBadData   = 65
	ExitNoUser    = 67
	ExitTempFail  = 75
	ExitNoPerm    = 77
)

// Exit returns the exit code for this Result, one of 0, 65, 67, 75, 77.
func (r Result) Exit() int {
	e := r.code()
	switch {
	case e.Class == 2:
		return ExitDelivered
	case e.Class == 4:
		return ExitTempFail
	case e.Subject == 1:
		return ExitNoUser
	case e.Subject == 6 || e == Enhanced{5, 3, 4}:
		return ExitBadData
	}
	return ExitNoPerm
}

// Line returns the one line a pipe prints when it fails, "4.3.0 text": Postfix takes a code at the very start of
// the output over the exit code, so the two must agree.
func (r Result) Line() string { return r.code().String() + " " + r.text() }
