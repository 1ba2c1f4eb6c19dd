# SPDX-License-Identifier: Apache-2.0
#
# tests/vmcores/look.py FILE - for drgn: release, tasks, modules, and the stack of the vCPU that panicked.
#
# drgn 0.0.22 knows who panicked by the kernel's variable crashing_cpu, which only a kernel that starts a crash kernel
# sets; without it, it takes the first vCPU.  So the registers are taken from the notes, which are in vCPU order.
import struct
import sys

from drgn import Object
from drgn.helpers.linux.list import list_for_each_entry
from drgn.helpers.linux.pid import for_each_task

with open(sys.argv[1], "rb") as file:
    head = file.read(2 << 20)
notes = head.split(struct.pack("<3I8s", 5, 336, 1, b"CORE"))[1:]  # NT_PRSTATUS
cpu = prog["panic_cpu"].counter.value_()
regs = Object.from_bytes_(prog, "struct pt_regs", notes[cpu][112:])
task = next(t for t in for_each_task(prog) if t.on_cpu and t.thread_info.cpu == cpu)

print("release", prog["init_uts_ns"].name.release.string_().decode())
print("tasks", sum(1 for _ in for_each_task(prog)))
modules = list_for_each_entry("struct module", prog["modules"].address_of_(), "list")
print("modules", " ".join(m.name.string_().decode() for m in modules))
print("panicked on CPU %d: %s" % (cpu, task.comm.string_().decode()))
print(prog.stack_trace(regs))
