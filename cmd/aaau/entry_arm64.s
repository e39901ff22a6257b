#include "textflag.h"

// See entry.go. At a program's beginning the stack is the kernel's; all of it is left as it was.
TEXT ·entry(SB), NOSPLIT|NOFRAME, $0
	SUB  $64, RSP
	MOVD $134, R8            // rt_sigaction(SIGTERM, nil, RSP, 8)
	MOVD $15, R0
	MOVD $0, R1
	MOVD RSP, R2
	MOVD $8, R3
	SVC
	MOVD 0(RSP), R0          // the handler
	MOVD R0, ·termHandler(SB)
	MOVD $134, R8            // the same for SIGQUIT
	MOVD $3, R0
	MOVD $0, R1
	MOVD RSP, R2
	MOVD $8, R3
	SVC
	MOVD 0(RSP), R0
	MOVD R0, ·quitHandler(SB)
	ADD  $64, RSP
	JMP  _rt0_arm64_linux(SB)
