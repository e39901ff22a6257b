#include "textflag.h"

// See entry.go. At a program's beginning the stack is the kernel's; all of it is left as it was.
TEXT ·entry(SB), NOSPLIT|NOFRAME, $0
	SUBQ $64, SP
	MOVQ $13, AX             // rt_sigaction(SIGTERM, nil, SP, 8)
	MOVQ $15, DI
	XORQ SI, SI
	MOVQ SP, DX
	MOVQ $8, R10
	SYSCALL
	MOVQ 0(SP), AX           // the handler
	MOVQ AX, ·termHandler(SB)
	MOVQ $13, AX             // the same for SIGQUIT
	MOVQ $3, DI
	XORQ SI, SI
	MOVQ SP, DX
	MOVQ $8, R10
	SYSCALL
	MOVQ 0(SP), AX
	MOVQ AX, ·quitHandler(SB)
	ADDQ $64, SP
	XORQ DX, DX
	JMP _rt0_amd64_linux(SB)
