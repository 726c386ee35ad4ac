// Names every test that passed only at its second try, in lines that tools/count-tests repeats and counts.
import type { Reporter, TestModule } from 'vitest/node';

export class SecondTries implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    for (const module of modules) {
      for (const test of module.children.allTests()) {
        if (!test.diagnostic()?.flaky) continue;
        const [first] = test.result().errors ?? [];
        const reason = first?.message.split('\n')[0] ?? '';
        process.stdout.write(`second try: ${module.relativeModuleId} > ${test.fullName}: ${reason}\n`);
      }
    }
  }
}
