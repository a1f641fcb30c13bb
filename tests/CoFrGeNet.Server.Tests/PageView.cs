using Microsoft.Playwright;

namespace CoFrGeNet.Server.Tests;

/// <summary>One open page. When it closes it must not have logged an error or asked any other host for anything.</summary>
internal sealed class PageView : IAsyncDisposable
{
    private readonly IBrowserContext _context;
    private readonly List<string> _complaints = [];

    private PageView(IBrowserContext context, IPage page)
    {
        _context = context;
        Page = page;
    }

    public IPage Page { get; }

    public static async Task<PageView> OpenAsync(PageBrowser chromium, Uri address, int width, ColorScheme scheme, bool allowsErrors = false)
    {
        if (chromium.Browser is null)
        {
            Assert.Skip("Chromium is not installed; 'apt-get install chromium' does it, and .ci/run where it can");
        }

        var context = await chromium.Browser.NewContextAsync(new BrowserNewContextOptions
        {
            ColorScheme = scheme,
            ViewportSize = new ViewportSize { Width = width, Height = width < 600 ? 740 : 800 },
            DeviceScaleFactor = width < 600 ? 2 : 1,
        });
        var view = new PageView(context, await context.NewPageAsync());
        view.Page.PageError += (_, error) => view._complaints.Add(error);
        view.Page.Console += (_, message) =>
        {
            if (message.Type == "error" && !allowsErrors)
            {
                view._complaints.Add(message.Text);
            }
        };
        view.Page.Request += (_, request) =>
        {
            if (new Uri(request.Url).Authority != address.Authority && !request.Url.StartsWith("data:", StringComparison.Ordinal))
            {
                view._complaints.Add("asked " + request.Url);
            }
        };
        await view.Page.GotoAsync(address.ToString());
        return view;
    }

    public async ValueTask DisposeAsync()
    {
        await _context.DisposeAsync();
        Assert.Empty(_complaints);
    }
}
