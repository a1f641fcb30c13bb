using Microsoft.Playwright;

namespace CoFrGeNet.Server.Tests;

/// <summary>
/// Takes the pictures of docs/images with trained models: COFRGENET_SCREENSHOTS names the folder to write to, COFRGENET_SCREENSHOT_MODELS two model folders separated by a comma.
/// </summary>
public sealed class PageScreenshots : IClassFixture<PageBrowser>
{
    private readonly PageBrowser _chromium;

    public PageScreenshots(PageBrowser chromium) => _chromium = chromium;

    [Fact(Explicit = true)]
    public async Task Take()
    {
        var target = Environment.GetEnvironmentVariable("COFRGENET_SCREENSHOTS") ?? throw new UserErrorException("set COFRGENET_SCREENSHOTS to a folder");
        var folders = (Environment.GetEnvironmentVariable("COFRGENET_SCREENSHOT_MODELS") ?? string.Empty).Split(',');
        var models = folders.Select(folder => EngineServer.Load(folder, Path.GetFileName(folder))).ToArray();
        await using var server = await TestServer.StartAsync([.. models.Select(model => model.Served)]);
        foreach (var (name, width, scheme) in new[] { ("page-light", 1100, ColorScheme.Light), ("page-dark", 1100, ColorScheme.Dark), ("page-phone", 390, ColorScheme.Light) })
        {
            await using var view = await PageView.OpenAsync(_chromium, server.Address, width, scheme);
            await PrepareAsync(view.Page);
            await PageTests.RunAsync(view.Page);
            await view.Page.Locator("article .token").Nth(12).HoverAsync();
            await ShootAsync(view.Page, target, name, fullPage: false);
        }

        await using (var view = await PageView.OpenAsync(_chromium, server.Address, 1100, ColorScheme.Light))
        {
            await PrepareAsync(view.Page);
            await view.Page.Locator("#compare").SelectOptionAsync(Path.GetFileName(folders[1]));
            await PageTests.RunAsync(view.Page, 2);
            await ShootAsync(view.Page, target, "page-compare", fullPage: false);
        }

        await using (var view = await PageView.OpenAsync(_chromium, server.Address, 1100, ColorScheme.Light))
        {
            await PrepareAsync(view.Page);
            await PageTests.RunAsync(view.Page);
            await view.Page.Locator("#layers button").Last.ClickAsync();
            await view.Page.Locator("#ladder").FillAsync("5");
            await view.Page.Locator("#ladder").PressAsync("Enter");
            await Assertions.Expect(view.Page.Locator("#plot path.curve")).ToHaveCountAsync(1);
            await view.Page.Locator("#ladders").ScreenshotAsync(new LocatorScreenshotOptions { Path = Path.Combine(target, "page-ladders.png") });
        }

        foreach (var (_, model) in models)
        {
            model.Dispose();
        }

        Assert.Equal(5, Directory.GetFiles(target, "page-*.png").Length);
    }

    private static async Task PrepareAsync(IPage page)
    {
        await page.Locator("#prompt").FillAsync("The old man looked at the sea, and");
        await page.Locator("summary").ClickAsync();
        await page.Locator("#seed").FillAsync("7");
        await page.Locator("#tokens").FillAsync("70");
        await page.Locator("summary").ClickAsync();
    }

    private static Task<byte[]> ShootAsync(IPage page, string folder, string name, bool fullPage) =>
        page.ScreenshotAsync(new PageScreenshotOptions { Path = Path.Combine(folder, name + ".png"), FullPage = fullPage });
}
