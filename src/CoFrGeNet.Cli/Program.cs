using CoFrGeNet.Cli;

using var interruption = Interruption.Listen(RankedRun.IsFollower ? TextWriter.Null : Console.Error);
return Tool.Run(args, ToolConsole.OfProcess(interruption.Token));
