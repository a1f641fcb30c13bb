using CoFrGeNet.Cli;

using var interruption = Interruption.Listen(Console.Error);
return Tool.Run(args, ToolConsole.OfProcess(interruption.Token));
